package ipc

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// PeerOfSocket returns the peer of a connected Unix socket (LOCAL_PEERCRED):
// for a client, who listened; for a server, who connected. See unix(4).
func PeerOfSocket(fd int) (Peer, error) {
	cred, err := unix.GetsockoptXucred(fd, unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	if err != nil {
		return Peer{}, err
	}
	const xucredVersion = 0
	if cred.Version != xucredVersion || cred.Ngroups < 1 {
		return Peer{}, syscall.EINVAL
	}
	p := Peer{UID: cred.Uid, GID: cred.Groups[0]}
	if pid, err := unix.GetsockoptInt(fd, unix.SOL_LOCAL, unix.LOCAL_PEERPID); err == nil {
		p.PID = pid
	}
	return p, nil
}

const sendFlags = 0 // SO_NOSIGPIPE does it

func newSocket() (int, error) {
	syscall.ForkLock.RLock()
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return -1, err
	}
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_NOSIGPIPE, 1); err != nil {
		_ = syscall.Close(fd)
		return -1, err
	}
	return fd, nil
}

// refusedWhenFull: a full backlog looks like a socket on which nobody listens.
const refusedWhenFull = true
