//go:build linux || darwin

package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/agent"
	"github.com/cspctl/cspctl/internal/agent/api"
	"github.com/cspctl/cspctl/internal/bootclock"
	"github.com/cspctl/cspctl/internal/config"
	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/ipc/listen"
	"github.com/cspctl/cspctl/internal/keychain"
	"github.com/cspctl/cspctl/internal/provider"
)

// newFurther returns further sockets of an agent without profiles, what they
// log, and a short folder for them.
func newFurther(t *testing.T) (f *furtherSockets, log *bytes.Buffer, dir string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "s")
	if err != nil {
		t.Fatal(err)
	}
	s := loadSettings(files{config: filepath.Join(dir, "none.toml")}, slog.New(slog.DiscardHandler), new(slog.LevelVar))
	a, err := agent.New(agent.Options{
		Providers: s.providers(),
		Stores:    map[string]agent.Store{provider.Memory: keychain.NewMemory()},
		State:     stateFile(filepath.Join(dir, "state.json")), Clock: bootclock.Clock{},
	})
	if err != nil {
		t.Fatal(err)
	}
	log = new(bytes.Buffer)
	f = &furtherSockets{
		log:     slog.New(slog.NewTextHandler(log, nil)),
		refused: func(listen.Peer, error) {},
		handler: func(role api.Role, path string) http.Handler {
			return api.New(api.Options{Agent: a, Role: role, Socket: path})
		},
	}
	t.Cleanup(func() {
		f.close(context.Background())
		a.Close()
		_ = os.RemoveAll(dir)
	})
	return f, log, dir
}

func observeAt(path string) config.Socket {
	return config.Socket{Path: path, Role: config.Role{Name: "observe"}, UIDs: []uint32{uint32(os.Geteuid())}}
}

// statusOf asks on a socket, and returns the reply's status; 0 if there is none.
func statusOf(t *testing.T, socket, path string) int {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", "http://"+ipc.Host+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := transport.RoundTrip(r)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func wantObserve(t *testing.T, socket string) {
	t.Helper()
	if status, token := statusOf(t, socket, "/v1/status"), statusOf(t, socket, "/v1/token"); status != http.StatusOK || token != http.StatusForbidden {
		t.Errorf("the status answers %d, a token %d", status, token)
	}
}

func TestFurtherSocketsFollowTheSettings(t *testing.T) {
	f, _, dir := newFurther(t)
	one, two := observeAt(filepath.Join(dir, "1.sock")), observeAt(filepath.Join(dir, "2.sock"))
	f.set([]config.Socket{one, two})
	wantObserve(t, one.Path)
	wantObserve(t, two.Path)
	if info, err := os.Lstat(one.Path); err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("%v, %v", info, err)
	}

	before := f.open[one.Path].listener
	two.Mode.FileMode = 0o600
	f.set([]config.Socket{one, two})
	if info, err := os.Lstat(two.Path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	wantObserve(t, two.Path)
	if f.open[one.Path].listener != before {
		t.Error("a socket that is as before was made again")
	}

	f.set([]config.Socket{two})
	if _, err := os.Lstat(one.Path); !errors.Is(err, os.ErrNotExist) || statusOf(t, one.Path, "/v1/status") != 0 {
		t.Errorf("a socket that is not in the settings any more: %v", err)
	}
	wantObserve(t, two.Path)
}

// What can't be made is logged once, and tried again.
func TestFurtherSocketWithoutItsFolder(t *testing.T) {
	f, log, dir := newFurther(t)
	k := observeAt(filepath.Join(dir, "later", "o.sock"))
	for range 3 {
		f.set([]config.Socket{k})
	}
	if n := strings.Count(log.String(), "can't be made"); n != 1 || !strings.Contains(log.String(), "sudo install -d") {
		t.Errorf("logged %d times: %s", n, log)
	}
	if err := os.Mkdir(filepath.Dir(k.Path), 0o755); err != nil {
		t.Fatal(err)
	}
	f.set([]config.Socket{k})
	wantObserve(t, k.Path)
}

// A socket that is gone, or that nobody serves any more, is made again.
func TestFurtherSocketIsMadeAgain(t *testing.T) {
	f, log, dir := newFurther(t)
	k := observeAt(filepath.Join(dir, "o.sock"))
	f.set([]config.Socket{k})
	if err := os.Remove(k.Path); err != nil {
		t.Fatal(err)
	}
	f.set([]config.Socket{k})
	wantObserve(t, k.Path)

	s := f.open[k.Path]
	_ = s.server.Close()
	<-s.ended
	f.set([]config.Socket{k})
	wantObserve(t, k.Path)
	if !strings.Contains(log.String(), "not served any more") {
		t.Errorf("logged %s", log)
	}
}
