//go:build unix

package standin

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// shared lets another process of the same user bind the port of a run, too: its
// holder keeps it from others while there is no agent (SO_REUSEPORT, socket(7)).
func shared(_, _ string, c syscall.RawConn) error {
	var bad error
	err := c.Control(func(fd uintptr) { bad = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
	if err != nil {
		return err
	}
	return bad
}
