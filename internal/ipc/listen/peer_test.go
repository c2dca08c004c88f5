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
	"sync/atomic"
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

func TestAllowDecides(t *testing.T) {
	path := filepath.Join(folder(t), "run", "token.sock")
	if err := os.Chmod(filepath.Dir(filepath.Dir(path)), 0o755); err != nil {
		t.Fatal(err)
	}
	asked := make(chan listen.Peer, 1)
	l := mustListen(t, listen.Options{Path: path, Shared: true, Mode: 0o666,
		Allow: func(p listen.Peer) bool {
			select {
			case asked <- p:
			default: // the test is over the first one
			}
			return p.UID == nobody
		}})
	serve(t, l)
	if got, err := get(path, "/x"); err != nil || !strings.HasPrefix(got, "403 ") {
		t.Errorf("the agent's own user was served against Allow: %q, %v", got, err)
	}
	if p := <-asked; int(p.UID) != os.Geteuid() || int(p.GID) != os.Getegid() || p.PID != os.Getpid() {
		t.Errorf("peer is %+v", p)
	}
	cmd := helper(t, "get")
	asNobody(t, cmd)
	cmd.Env = append(cmd.Env, ipc.EnvSocket+"="+path, ipc.EnvUID+"=0")
	line, end := firstLine(t, cmd)
	end()
	if line != "200 hello /v1/status" {
		t.Errorf("the allowed user got %q", line)
	}
}

func TestHandlersKnowPeerAndRole(t *testing.T) {
	path := filepath.Join(folder(t), "agent.sock")
	l := mustListen(t, listen.Options{Path: path, Role: "observe"})
	if l.Path() != path || l.Addr().String() != path || l.Addr().Network() != "unix" || l.Name() != "" {
		t.Errorf("got %q, %v, %q", l.Path(), l.Addr(), l.Name())
	}
	type seen struct {
		peer     listen.Peer
		role     string
		ok1, ok2 bool
	}
	got := make(chan seen, 1)
	srv := listen.Server(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var s seen
		s.peer, s.ok1 = listen.PeerFrom(r.Context())
		s.role, s.ok2 = listen.RoleFrom(r.Context())
		got <- s
	}))
	go func() { _ = srv.Serve(l) }()
	defer func() { _ = srv.Close() }()
	if _, err := get(path, "/x"); err != nil {
		t.Fatal(err)
	}
	s := <-got
	if !s.ok1 || !s.ok2 || s.role != "observe" || int(s.peer.UID) != os.Geteuid() || s.peer.PID != os.Getpid() {
		t.Errorf("got %+v", s)
	}

	foreign, other := net.Pipe()
	defer func() { _ = errors.Join(foreign.Close(), other.Close()) }()
	ctx := listen.WithPeer(context.Background(), foreign)
	if _, ok := listen.PeerFrom(ctx); ok {
		t.Error("a connection of another kind has a peer")
	}
	if _, ok := listen.RoleFrom(ctx); ok {
		t.Error("a connection of another kind has a role")
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
	path := filepath.Join(folder(t), "agent.sock")
	var allowed atomic.Bool
	serve(t, mustListen(t, listen.Options{Path: path, Allow: func(listen.Peer) bool { return allowed.Load() }}))
	for _, c := range []struct {
		allowed bool
		want    string
	}{{true, "hello /v1/x"}, {false, `"not_allowed"`}} {
		allowed.Store(c.allowed)
		out, err := exec.CommandContext(t.Context(), curl, "-sS", "--max-time", "10", "--unix-socket", path, "http://agent/v1/x").CombinedOutput()
		if err != nil || !strings.Contains(string(out), c.want) {
			t.Errorf("got %q, %v", out, err)
		}
	}
}
