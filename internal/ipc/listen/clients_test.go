//go:build linux || darwin

package listen_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/ipc/listen"
)

// T28: whatever a client does, the agent survives it and serves the others.
func TestT28BadClients(t *testing.T) {
	path := filepath.Join(folder(t), "agent.sock")
	l := mustListen(t, listen.Options{Path: path})
	big := bytes.Repeat([]byte("x"), 8<<20)
	written := make(chan error, 100) // what became of replies to /big?watch
	srv := listen.Server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/big" {
			_, err := w.Write(big)
			if r.URL.RawQuery == "watch" {
				written <- err
			}
			return
		}
		if _, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, ipc.MaxRequestBody)); err != nil {
			return
		}
		reply := "hello " + r.URL.Path
		w.Header().Set("Content-Length", strconv.Itoa(len(reply)))
		_, _ = io.WriteString(w, reply)
	}))
	// The same limits, sooner.
	srv.ReadHeaderTimeout, srv.ReadTimeout, srv.WriteTimeout = 200*time.Millisecond, 400*time.Millisecond, 400*time.Millisecond
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() }) // after the parallel parts

	// untilClosed reads to the end, which the server must bring about.
	untilClosed := func(c net.Conn) error {
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
			return errors.New("the connection stays open")
		}
		return nil
	}
	for name, misbehave := range map[string]func(c net.Conn) error{
		"sends nothing": untilClosed,
		"sends half a line": func(c net.Conn) error {
			_, _ = io.WriteString(c, "GET /v1/tok")
			return untilClosed(c)
		},
		"sends half a body": func(c net.Conn) error {
			_, _ = io.WriteString(c, "POST /v1/token HTTP/1.1\r\nHost: agent\r\nContent-Length: 100\r\n\r\n{")
			return untilClosed(c)
		},
		"sends a header of 1 GB": func(c net.Conn) error {
			return sendGigabyte(c, "GET / HTTP/1.1\r\nHost: agent\r\nX: ", untilClosed)
		},
		"sends a body of 1 GB": func(c net.Conn) error {
			return sendGigabyte(c, "POST / HTTP/1.1\r\nHost: agent\r\nContent-Length: 1073741824\r\n\r\n", untilClosed)
		},
		"sends garbage": func(c net.Conn) error {
			_, _ = c.Write([]byte{0, 1, 2, 0xff, '\r', '\n', '\r', '\n'})
			return untilClosed(c)
		},
		"closes before the reply": func(c net.Conn) error {
			_, err := io.WriteString(c, "GET /big HTTP/1.1\r\nHost: agent\r\n\r\n")
			return errors.Join(err, c.Close())
		},
		"never reads": func(c net.Conn) error {
			if _, err := io.WriteString(c, "GET /big?watch HTTP/1.1\r\nHost: agent\r\n\r\n"); err != nil {
				return err
			}
			select {
			case err := <-written:
				if err == nil {
					return errors.New("it was served whole")
				}
			case <-time.After(20 * time.Second):
				return errors.New("the server waits for it")
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 5 {
				c, err := net.Dial("unix", path)
				if err != nil {
					t.Fatal(err)
				}
				if err := misbehave(c); err != nil {
					t.Error(err)
				}
				wantServed(t, path)
				_ = c.Close()
			}
		})
	}
}

// A thousand clients at once, each with a connection of its own, all get their
// answer, and nothing of them remains.
func TestThousandAtOnce(t *testing.T) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < 2500 {
		t.Skipf("needs 2500 file descriptors, has %d", limit.Cur)
	}
	path := filepath.Join(folder(t), "agent.sock")
	l := mustListen(t, listen.Options{Path: path})
	const clients = 1000
	gathered := make(chan struct{})
	var here sync.WaitGroup
	here.Add(clients)
	go func() { here.Wait(); close(gathered) }()
	srv := listen.Server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		here.Done()
		<-gathered // all of them are connected at the same time
		w.Header().Set("Content-Length", "2")
		_, _ = io.WriteString(w, "ok")
	}))
	go func() { _ = srv.Serve(l) }()
	before := runtime.NumGoroutine()
	var all sync.WaitGroup
	failures := make(chan error, clients)
	for range clients {
		all.Go(func() {
			c, err := net.Dial("unix", path)
			for errors.Is(err, syscall.EAGAIN) { // the backlog is full
				time.Sleep(time.Millisecond)
				c, err = net.Dial("unix", path)
			}
			if err == nil {
				defer func() { _ = c.Close() }()
				_, err = io.WriteString(c, "GET / HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n")
			}
			if err == nil {
				var reply *http.Response
				if reply, err = http.ReadResponse(bufio.NewReader(c), nil); err == nil && reply.StatusCode != 200 {
					err = errors.New(reply.Status)
				}
			}
			if err != nil {
				failures <- err
			}
		})
	}
	all.Wait()
	close(failures)
	for err := range failures {
		t.Error(err)
		break
	}
	if err := srv.Close(); err != nil {
		t.Error(err)
	}
	for range 200 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines before, %d after", before, runtime.NumGoroutine())
}

// Over the limit of a socket, clients wait for a place and then are served.
func TestFullListenerMakesClientsWait(t *testing.T) {
	path := filepath.Join(folder(t), "agent.sock")
	l := mustListen(t, listen.Options{Path: path, MaxConns: 1})
	serve(t, l)
	first, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(first, "GET /first HTTP/1.1\r\nHost: agent\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := http.ReadResponse(bufio.NewReader(first), nil); err != nil {
		t.Fatal(err)
	}
	// The connection is kept, and holds the only place.
	if _, err := client(path).Do(ipc.Request{Method: "GET", Path: "/x", Timeout: 100 * time.Millisecond}); err == nil {
		t.Error("a second client was served over the limit")
	}
	served := make(chan struct{})
	go func() { defer close(served); wantServed(t, path) }()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	<-served
}

// On a socket for several users, one of them can't take every place.
func TestBusyUserIsRefused(t *testing.T) {
	path := filepath.Join(folder(t), "agent.sock")
	busy := make(chan error, 1)
	serve(t, mustListen(t, listen.Options{Path: path, MaxPerUID: 1,
		Refused: func(_ listen.Peer, err error) { busy <- err }}))
	first, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var refused *ipc.Error
	if err := client(path).Call("GET", "/x", nil, nil); !errors.As(err, &refused) || refused.Code != ipc.CodeBusy {
		t.Errorf("got %v", err)
	}
	if err := <-busy; !errors.Is(err, listen.ErrBusy) {
		t.Errorf("reported %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	for range 500 {
		var got string
		if got, err = get(path, "/x"); err == nil && got == "200 hello /x" {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("the place stays taken: %v", err)
}

// sendGigabyte sends up to a gigabyte after the beginning of a request, and
// fails if the server goes on reading. Once it no longer does, the connection
// is left to untilClosed.
func sendGigabyte(c net.Conn, beginning string, untilClosed func(net.Conn) error) error {
	_, _ = io.WriteString(c, beginning)
	chunk := bytes.Repeat([]byte("a"), 1<<20)
	for i := range 1 << 10 {
		_ = c.SetWriteDeadline(time.Now().Add(20 * time.Second))
		if _, err := c.Write(chunk); err != nil {
			return untilClosed(c)
		} else if i > 64 {
			return errors.New("the server reads it all")
		}
	}
	return nil
}
