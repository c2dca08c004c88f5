//go:build linux || darwin

package listen_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/ipc/listen"
)

// T27: another user gets an explanation and nothing else, even where the
// socket's mode would let it in.
func TestT27AnotherUserIsRefused(t *testing.T) {
	path := filepath.Join(folder(t), "run", "agent.sock")
	if err := os.Chmod(filepath.Dir(filepath.Dir(path)), 0o755); err != nil {
		t.Fatal(err)
	}
	type refusal struct {
		peer listen.Peer
		err  error
	}
	refused := make(chan refusal, 10)
	serve(t, mustListen(t, listen.Options{Path: path, Shared: true, Mode: 0o666,
		Refused: func(p listen.Peer, err error) { refused <- refusal{p, err} }}))
	wantServed(t, path)

	cmd := helper(t, "get")
	asNobody(t, cmd)
	cmd.Env = append(cmd.Env, ipc.EnvSocket+"="+path, ipc.EnvUID+"=0")
	line, end := firstLine(t, cmd)
	end()
	if !strings.HasPrefix(line, "403 {") || !strings.Contains(line, `"not_allowed"`) {
		t.Errorf("the other user got %q", line)
	}
	r := <-refused
	if r.peer.UID != nobody || r.peer.GID != nobody || r.peer.PID != cmd.Process.Pid || !errors.Is(r.err, listen.ErrNotAllowed) {
		t.Errorf("reported %+v, want pid %d", r, cmd.Process.Pid)
	}
	wantServed(t, path)
}

func TestHandlersKnowPeer(t *testing.T) {
	path := filepath.Join(folder(t), "agent.sock")
	l := mustListen(t, listen.Options{Path: path})
	if l.Path() != path || l.Addr().String() != path || l.Addr().Network() != "unix" || l.Name() != "" {
		t.Errorf("got %q, %v, %q", l.Path(), l.Addr(), l.Name())
	}
	type seen struct {
		peer listen.Peer
		ok   bool
	}
	got := make(chan seen, 1)
	srv := listen.Server(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var s seen
		s.peer, s.ok = listen.PeerFrom(r.Context())
		got <- s
	}))
	go func() { _ = srv.Serve(l) }()
	defer func() { _ = srv.Close() }()
	if _, err := get(path, "/x"); err != nil {
		t.Fatal(err)
	}
	s := <-got
	if !s.ok || int(s.peer.UID) != os.Geteuid() || int(s.peer.GID) != os.Getegid() || s.peer.PID != os.Getpid() {
		t.Errorf("got %+v", s)
	}

	foreign, other := net.Pipe()
	defer func() { _ = errors.Join(foreign.Close(), other.Close()) }()
	ctx := listen.WithPeer(context.Background(), foreign)
	if _, ok := listen.PeerFrom(ctx); ok {
		t.Error("a connection of another kind has a peer")
	}
	if _, err := listen.PeerOf(foreign); err == nil {
		t.Error("PeerOf knows a connection of another kind")
	}
}

func TestSecondClientIsCurl(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("needs curl")
	}
	dir := folder(t)
	free, full := filepath.Join(dir, "free.sock"), filepath.Join(dir, "full.sock")
	serve(t, mustListen(t, listen.Options{Path: free}))
	serve(t, mustListen(t, listen.Options{Path: full, MaxPerUID: 1}))
	first, err := net.Dial("unix", full) // accepted before curl is
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = first.Close() }()
	for path, want := range map[string]string{free: "hello /v1/x", full: `"busy"`} {
		out, err := exec.CommandContext(t.Context(), curl, "-sS", "--max-time", "10", "--unix-socket", path, "http://agent/v1/x").CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("got %q, %v", out, err)
		}
	}
}
