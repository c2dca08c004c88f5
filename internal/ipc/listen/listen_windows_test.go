package listen_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"testing"

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
