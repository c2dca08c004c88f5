package listen_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"testing"

	"github.com/Microsoft/go-winio"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/ipc/listen"
)

// A pipe has one agent, whose client finds that it is the user's own.
func TestPipe(t *testing.T) {
	path := fmt.Sprintf(`\\.\pipe\csp-agent-test-%d`, os.Getpid())
	l, err := listen.Listen(listen.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if second, err := listen.Listen(listen.Options{Path: path}); !errors.Is(err, listen.ErrRunning) {
		t.Errorf("a second agent: %v, %v", second, err)
	}
	srv := listen.Server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, ok := listen.PeerFrom(r.Context())
		if !ok || peer.PID != os.Getpid() {
			t.Errorf("the peer is %+v", peer)
		}
		w.Header().Set("Content-Length", "2")
		_, _ = io.WriteString(w, "ok")
	}))
	go func() { _ = srv.Serve(l) }()
	defer func() { _ = srv.Close() }()
	c := ipc.Open(ipc.Options{NoStart: true, Getenv: func(name string) string {
		return map[string]string{ipc.EnvSocket: path}[name]
	}})
	for range 20 {
		reply, err := c.Do(ipc.Request{Method: "GET", Path: "/v1/status"})
		if err != nil || string(reply.Body) != "ok" {
			t.Fatalf("got %+v, %v", reply, err)
		}
	}
}

// Who is refused is told why, though its request may never be read.
func TestPipeThatIsBusy(t *testing.T) {
	path := fmt.Sprintf(`\\.\pipe\csp-agent-busy-%d`, os.Getpid())
	l, err := listen.Listen(listen.Options{Path: path, MaxPerUID: 1})
	if err != nil {
		t.Fatal(err)
	}
	srv := listen.Server(http.NotFoundHandler())
	go func() { _ = srv.Serve(l) }()
	defer func() { _ = srv.Close() }()
	first, err := winio.DialPipe(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = first.Close() }()
	if _, err := io.WriteString(first, "GET / HTTP/1.1\r\n"); err != nil { // it is served
		t.Fatal(err)
	}
	for range 20 {
		c := ipc.Open(ipc.Options{NoStart: true, Getenv: func(name string) string {
			return map[string]string{ipc.EnvSocket: path}[name]
		}})
		reply, err := c.Do(ipc.Request{Method: "POST", Path: "/v1/lock", Body: make([]byte, 32<<10)})
		if err != nil || reply.Status != http.StatusServiceUnavailable {
			t.Fatalf("got %+v, %v", reply, err)
		}
	}
}
