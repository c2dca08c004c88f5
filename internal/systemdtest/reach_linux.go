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
	l, err := c.listen(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			inner, err := l.Accept()
			if err != nil {
				return
			}
			go forward(inner, address)
		}
	}()
}

// listen listens in the container's network. The thread comes back from there:
// it may be the one that started the container, which would end with it
// (PR_SET_PDEATHSIG).
func (c *Container) listen(address string) (net.Listener, error) {
	runtime.LockOSThread()
	here, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, err
	}
	defer here.Close()
	there, err := os.Open("/proc/" + strconv.Itoa(c.leader) + "/ns/net")
	if err != nil {
		return nil, err
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), syscall.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("setns: %w", err)
	}
	l, err := net.Listen("tcp", address)
	if back := unix.Setns(int(here.Fd()), syscall.CLONE_NEWNET); back != nil {
		return nil, fmt.Errorf("setns: %w", back) // and the thread stays locked
	}
	runtime.UnlockOSThread()
	return l, err
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
