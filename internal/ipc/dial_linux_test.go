package ipc_test

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/ipc/listen"
)

// T28: a client that finds the backlog full waits for its turn.
func TestT28FullBacklog(t *testing.T) {
	path := filepath.Join(folder(t), "agent.sock")
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 1); err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), path)
	l, err := net.FileListener(file)
	if err != nil {
		t.Fatal(err)
	}
	_ = file.Close()
	defer func() { _ = l.Close() }()
	for { // fill it
		c, err := net.Dial("unix", path)
		if err != nil {
			break
		}
		defer func() { _ = c.Close() }()
	}
	_, err = on(path).Do(ipc.Request{Method: "GET", Path: "/", Timeout: 50 * time.Millisecond})
	wantAgentError(t, err, "did not answer in time")

	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if _, err := on(path).Token(ipc.TokenRequest{}); err != nil {
				t.Error(err)
			}
		})
	}
	srv := listen.Server(http.HandlerFunc(tokenHandler))
	go func() { _ = srv.Serve(l) }()
	all.Wait()
	_ = srv.Close()
}
