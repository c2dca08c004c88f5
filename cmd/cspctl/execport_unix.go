//go:build unix

package main

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// holdPort keeps the port of a run for this user while no agent serves it: else
// another user's program could take it, and be sent the stand-in. The port is
// bound and not listened at; SO_REUSEPORT lets a process of the same user bind it,
// too (socket(7)), which the agent's endpoint does. Of another user's agent, the
// system's, it can't be held.
func holdPort(hostPort string) (release func()) {
	nothing := func() {}
	text, ok := strings.CutPrefix(hostPort, "127.0.0.1:")
	port, err := strconv.ParseUint(text, 10, 16)
	if !ok || err != nil {
		return nothing
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return nothing
	}
	unix.CloseOnExec(fd)
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) != nil ||
		unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: int(port)}) != nil {
		_ = unix.Close(fd)
		return nothing
	}
	return func() { _ = unix.Close(fd) }
}
