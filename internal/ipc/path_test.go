//go:build linux || darwin

package ipc_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/cspctl/cspctl/internal/ipc"
)

// env makes a Getenv of name, value pairs.
func env(pairs ...string) func(string) string {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return func(name string) string { return m[name] }
}

func TestSocketPath(t *testing.T) {
	ours, home := t.TempDir(), t.TempDir()
	userRuntime := "/run/user/" + strconv.Itoa(os.Geteuid())
	// Where the rules lead without a runtime directory in the environment.
	rest := filepath.Join(home, ".cache", "csp-agent")
	if info, err := os.Stat(userRuntime); err == nil && info.Mode().Perm() == 0o700 && int(info.Sys().(*syscall.Stat_t).Uid) == os.Geteuid() {
		rest = userRuntime
	}
	for name, c := range map[string]struct {
		getenv func(string) string
		prefix string
	}{
		"the variable wins":           {env(ipc.EnvSocket, "/x/y.sock", "XDG_RUNTIME_DIR", ours, "HOME", home), "/x/y.sock"},
		"runtime directory":           {env("XDG_RUNTIME_DIR", ours, "HOME", home), ours + "/csp-agent/agent.sock"},
		"T26 runtime directory unset": {env("HOME", home), rest},
		"T26 runtime directory gone":  {env("HOME", home, "XDG_RUNTIME_DIR", ours+"/gone"), rest},
		"relative runtime directory":  {env("HOME", home, "XDG_RUNTIME_DIR", "."), rest},
	} {
		got, err := ipc.SocketPath(c.getenv)
		if err != nil || !strings.HasPrefix(got, c.prefix) || !strings.HasSuffix(got, ".sock") {
			t.Errorf("%s: got %q, %v, want %s...", name, got, err, c.prefix)
		}
	}
	if os.Geteuid() == 0 {
		foreign := t.TempDir()
		if err := os.Chown(foreign, 65534, 65534); err != nil {
			t.Fatal(err)
		}
		if got, err := ipc.SocketPath(env("HOME", home, "XDG_RUNTIME_DIR", foreign)); err != nil || !strings.HasPrefix(got, rest) {
			t.Errorf("somebody else's runtime directory: got %q, %v", got, err)
		}
	}
}

func TestT26HomeHoldsOneFolderForEachHost(t *testing.T) {
	home := t.TempDir()
	got, err := ipc.SocketPath(env("HOME", home))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(got, home) {
		t.Skip("needs a user without a runtime directory in /run/user")
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	host, _, _ = strings.Cut(host, ".")
	if folder := filepath.Base(filepath.Dir(got)); !strings.HasPrefix(folder, host) {
		t.Errorf("the folder is %q on host %q", folder, host)
	}
	wantAgentError(t, errorOf(ipc.SocketPath(env())), "HOME")
}

func TestT25PathTooLong(t *testing.T) {
	limit := len(syscall.RawSockaddrUnix{}.Path) - 1
	for _, n := range []int{limit, limit + 1} {
		path := "/" + strings.Repeat("x", n-1)
		_, err := ipc.SocketPath(env(ipc.EnvSocket, path))
		if got := errors.Is(err, ipc.ErrPathTooLong); got != (n > limit) {
			t.Errorf("%d bytes: %v", n, err)
		}
		if n > limit {
			wantAgentError(t, err, strconv.Itoa(limit))
		}
	}
	for _, bad := range []string{"agent.sock", "@abstract", "./x", "unix:/x"} {
		wantAgentError(t, errorOf(ipc.SocketPath(env(ipc.EnvSocket, bad))), "absolute")
	}
}

func errorOf(_ string, err error) error { return err }

// wantAgentError fails unless err is an *ipc.Error with CodeAgent, one line
// with the given words, and a hint.
func wantAgentError(t *testing.T, err error, words string) {
	t.Helper()
	e, ok := errors.AsType[*ipc.Error](err)
	if !ok {
		t.Errorf("got %v (%T), want an *ipc.Error", err, err)
		return
	}
	if e.Code != ipc.CodeAgent || !strings.Contains(e.Message, words) || e.Hint == "" || strings.ContainsAny(e.Message+e.Hint, "\n\r\x1b") {
		t.Errorf("got %s: %q, hint %q; want %q in it", e.Code, e.Message, e.Hint, words)
	}
}
