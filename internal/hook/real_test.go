//go:build linux || darwin

package hook_test

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/hook"
	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/launch"
)

// A launched program begins as the agent's own.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == launch.Verb {
		os.Exit(launch.Exec(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// real returns a hook that runs real programs as children.
func real(t *testing.T, timeout time.Duration, command ...string) *hook.Hook {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	h := hook.New(hook.Options{
		Settings: func() hook.Settings { return hook.Settings{Command: command, Events: all, Timeout: timeout} },
		Runner:   launch.New(launch.Options{Getenv: func(string) string { return "" }, Umask: 0o022, Log: log}), Log: log,
	})
	ended := make(chan struct{})
	go func() {
		h.Run(t.Context())
		close(ended)
	}()
	t.Cleanup(func() { <-ended }) // the context has ended by then
	return h
}

// P8: a hook that hangs, fails, floods or is not there is an error, in time.
func TestP8HooksThatAreBroken(t *testing.T) {
	for name, c := range map[string]struct {
		command []string
		want    launch.Reason
	}{
		"is not there": {[]string{"/nonexistent/hook"}, launch.NotFound},
		"fails":        {[]string{"/bin/sh", "-c", "exit 1"}, launch.Exited},
		"hangs":        {[]string{"/bin/sh", "-c", "trap '' TERM; while :; do sleep 60; done"}, launch.TimedOut},
		"floods":       {[]string{"/bin/sh", "-c", "yes & exec yes >&2"}, launch.TimedOut},
	} {
		t.Run(name, func(t *testing.T) {
			h := real(t, 500*time.Millisecond, c.command...)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			begin := time.Now()
			_, err := h.Announce(t.Context(), warning("prod"), "")
			runtime.ReadMemStats(&after)
			if e, ok := errors.AsType[*launch.Error](err); !ok || e.Reason != c.want {
				t.Errorf("got %v", err)
			}
			if d := time.Since(begin); d > 8*time.Second {
				t.Errorf("it took %v", d)
			}
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
				t.Errorf("%d bytes were allocated", grown)
			}
		})
	}
}

func TestEventArrives(t *testing.T) {
	file := filepath.Join(t.TempDir(), "event")
	h := real(t, time.Minute, "/bin/sh", "-c", `cat >"$0"`, file)
	if _, err := h.Announce(t.Context(), warning("prod"), ""); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	var got ipc.Event
	if err == nil {
		err = json.Unmarshal(b, &got)
	}
	if err != nil || got != warning("prod") {
		t.Errorf("got %s, %v", b, err)
	}
}

// The example that users begin with works, whatever is in the message.
func TestExampleHook(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("needs curl (Debian package curl)")
	}
	script, err := filepath.Abs("../../packaging/examples/chat-hook.sh")
	if err != nil {
		t.Fatal(err)
	}
	posts := make(chan string, 10)
	var status atomic.Int32
	status.Store(http.StatusOK)
	chat := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		var post struct{ Text string }
		if err := json.Unmarshal(b, &post); err != nil || r.Header.Get("Content-Type") != "application/json" {
			post.Text = "not JSON: " + string(b)
		}
		posts <- r.URL.Path + " " + post.Text
		w.WriteHeader(int(status.Load()))
	}))
	defer chat.Close()
	file := filepath.Join(t.TempDir(), "webhook")
	if err := os.WriteFile(file, []byte(chat.URL+"/hooks/room\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := real(t, time.Minute, script, file)
	for _, c := range []struct{ message, renew, want string }{
		{"the API token of prod ends in 7 days", "", "the API token of prod ends in 7 days"},
		{"ends soon", "https://example.com/#/user/tokens", "ends soon https://example.com/#/user/tokens"},
		{`"quoted" \ back\\slash "message":"x" $HOME $(id) % & <ü>` + "\n\ttab", "", `"quoted" \ back\\slash "message":"x" $HOME $(id) % & <ü>` + "\n\ttab"},
	} {
		w := warning("prod")
		w.Message, w.RenewURL = c.message, c.renew
		if _, err := h.Announce(t.Context(), w, ""); err != nil {
			t.Fatal(err)
		}
		if got := <-posts; got != "/hooks/room "+c.want {
			t.Errorf("got  %q\nwant %q", got, c.want)
		}
	}
	for _, e := range []ipc.Event{{Type: ipc.EventCleared, Profile: "prod"}, {Type: ipc.EventLogin, Profile: "prod"}} {
		h.Publish(e)
		want := map[string]string{ipc.EventCleared: "prod: what was warned of no longer holds", ipc.EventLogin: "cspctl: login prod"}[e.Type]
		select {
		case got := <-posts:
			if got != "/hooks/room "+want {
				t.Errorf("got %q, want %q", got, want)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("nothing was posted")
		}
	}
	// A chat that refuses is a failure, and the reason does not tell the URL's secret part.
	status.Store(http.StatusForbidden)
	_, err = h.Announce(t.Context(), warning("prod"), "")
	if e, ok := errors.AsType[*launch.Error](err); !ok || e.Reason != launch.Exited || !strings.Contains(e.Stderr, "403") || strings.Contains(e.Stderr, "/hooks/room") {
		t.Errorf("got %v", err)
	}
}
