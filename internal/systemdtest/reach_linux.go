package systemdtest

import (
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Reach leads connections to a TCP address inside, where there is no network
// but loopback, to the same address outside. A reboot ends it.
func (c *Container) Reach(t testing.TB, address string) {
	t.Helper()
	type result struct {
		net.Listener
		error
	}
	made := make(chan result)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine
		l, err := c.listen(address)
		made <- result{l, err}
	}()
	r := <-made
	if r.error != nil {
		t.Fatal(r.error)
	}
	t.Cleanup(func() { _ = r.Close() })
	go func() {
		for {
			inner, err := r.Accept()
			if err != nil {
				return
			}
			go forward(inner, address)
		}
	}()
}

// listen moves this thread into the container's network.
func (c *Container) listen(address string) (net.Listener, error) {
	ns, err := os.Open("/proc/" + strconv.Itoa(c.leader) + "/ns/net")
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), syscall.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("setns: %w", err)
	}
	return net.Listen("tcp", address)
}

func forward(inner net.Conn, address string) {
	defer inner.Close()
	outer, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer outer.Close()
	go func() {
		_, _ = io.Copy(outer, inner)
		_ = outer.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(inner, outer)
}
