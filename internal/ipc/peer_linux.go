package ipc

import "syscall"

// PeerOfSocket returns the peer of a connected Unix socket (SO_PEERCRED): for
// a client, who listened; for a server, who connected. See unix(7).
func PeerOfSocket(fd int) (Peer, error) {
	cred, err := syscall.GetsockoptUcred(fd, syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	if err != nil {
		return Peer{}, err
	}
	return Peer{UID: cred.Uid, GID: cred.Gid, PID: int(cred.Pid)}, nil
}

// sendFlags keep a closed connection from raising SIGPIPE.
const sendFlags = syscall.MSG_NOSIGNAL

func newSocket() (int, error) {
	return syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
}

// refusedWhenFull: here a full backlog makes connect wait.
const refusedWhenFull = false
