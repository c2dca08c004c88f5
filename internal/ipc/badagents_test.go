//go:build linux || darwin

package ipc_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
)

// T28: an agent that stalls, hangs up or talks something else is an error in
// bounded time.
func TestT28BadAgents(t *testing.T) {
	const wait = 300 * time.Millisecond
	block := make(chan struct{})
	t.Cleanup(func() { close(block) })
	for name, c := range map[string]struct {
		behave func(net.Conn)
		want   string
	}{
		"never answers":     {func(net.Conn) { <-block }, "did not answer in time"},
		"stops half-way":    {func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-"); <-block }, "did not answer in time"},
		"drips":             {drip(block), "did not answer in time"},
		"hangs up":          {func(net.Conn) {}, "closed the connection"},
		"hangs up half-way": {func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-") }, "closed the connection"},
		"talks garbage":     {func(c net.Conn) { _, _ = io.WriteString(c, "SSH-2.0-x\r\n\r\n"); <-block }, "not a csp-agent"},
		"talks without end": {func(c net.Conn) { _, _ = io.Copy(c, endless{}) }, "not a csp-agent"},
		"has an endless body": {func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
			_, _ = io.Copy(c, endless{})
		}, "not a csp-agent"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(folder(t), "agent.sock")
			raw(t, path, c.behave)
			begin := time.Now()
			_, err := on(path).Do(ipc.Request{Method: "GET", Path: "/", Timeout: wait})
			wantAgentError(t, err, c.want)
			if took := time.Since(begin); took > 20*wait {
				t.Errorf("it took %v", took)
			}
		})
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func drip(stop chan struct{}) func(net.Conn) {
	return func(c net.Conn) {
		for _, b := range []byte("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 10000)) {
			if _, err := c.Write([]byte{b}); err != nil {
				return
			}
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
}

// A reply that was sent by an agent that did not read the request counts.
func TestReplyBeforeTheRequestWasRead(t *testing.T) {
	path := filepath.Join(folder(t), "agent.sock")
	raw(t, path, func(c net.Conn) {
		const body = `{"code":"not_allowed","message":"nope"}`
		_, _ = fmt.Fprintf(c, "HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	})
	for range 100 {
		err := on(path).Call("PUT", "/v1/profiles/x", ipc.LoginRequest{Server: strings.Repeat("x", 60000)}, nil)
		if e, ok := errors.AsType[*ipc.Error](err); !ok || e.Code != ipc.CodeNotAllowed {
			t.Fatalf("got %v", err)
		}
	}
}

// An agent that ends between accepting and answering is asked again, but only
// where asking twice does no harm.
func TestHangupIsTriedAgain(t *testing.T) {
	path := filepath.Join(folder(t), "agent.sock")
	var connections atomic.Int32
	raw(t, path, func(c net.Conn) {
		if connections.Add(1)%2 == 1 {
			return
		}
		_, _ = c.Read(make([]byte, 1000))
		_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
	})
	if err := on(path).Call("GET", "/", nil, nil); err != nil || connections.Load() != 2 {
		t.Errorf("GET: %v after %d connections", err, connections.Load())
	}
	wantAgentError(t, on(path).Call("POST", "/v1/lock", nil, nil), "closed the connection")
	if n := connections.Load(); n != 3 {
		t.Errorf("POST made %d connections", n-2)
	}
}
