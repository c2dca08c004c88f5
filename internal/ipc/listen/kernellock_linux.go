package listen

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"
)

// takeKernelLock takes the name of path among the abstract sockets (unix(7)).
// Nobody can remove it, and it is free when its process has ended. It fails
// only if another process of the same user has it: such names are everybody's
// to take, so with anybody else's it is done without.
func takeKernelLock(path string) (release func(), err error) {
	name, ok := kernelName(path)
	if !ok {
		return func() {}, nil
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if err == nil {
		return func() { _ = l.Close() }, nil
	}
	if errors.Is(err, syscall.EADDRINUSE) && isHeldByUs(name) {
		return nil, fmt.Errorf("%w: it has %s", ErrRunning, path)
	}
	return func() {}, nil
}

// kernelName is the same for agents that see the same file system alone: a
// container may share this machine's abstract sockets and not its folders.
func kernelName(path string) (string, bool) {
	space, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		return "", false
	}
	root, err := os.Stat("/")
	if err != nil {
		return "", false
	}
	st, ok := root.Sys().(*syscall.Stat_t)
	if !ok {
		return "", false
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %d %s", space, st.Dev, st.Ino, path))
	return fmt.Sprintf("@csp-agent/%d/%x", os.Geteuid(), sum[:16]), true
}

// isHeldByUs reports whether the process that listens there runs as this user.
func isHeldByUs(name string) bool {
	c, err := (&net.Dialer{Timeout: time.Second}).DialContext(context.Background(), "unix", name)
	if err != nil {
		return false
	}
	defer func() { _ = c.Close() }()
	peer, err := peerOf(c)
	return err == nil && int(peer.UID) == os.Geteuid()
}
