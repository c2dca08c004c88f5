package listen

import (
	"errors"
	"net"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// programOf names the program of a peer. By the pid alone, it may be another
// process's: SO_PEERPIDFD of Linux 6.5 (unix(7)) is of the process that
// connected, and no other process ever has that one.
func programOf(c net.Conn, pid int) (path string, verified bool) {
	pidfd, err := ask(c, func(fd int) (int, error) {
		return unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PEERPIDFD)
	})
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
		return "", false // the peer has ended: what has its pid now is another's
	}
	path, own := nameOf("/proc/" + strconv.Itoa(pid))
	if err != nil { // an older kernel, which does not know the option
		return path, false
	}
	defer func() { _ = unix.Close(pidfd) }()
	unix.CloseOnExec(pidfd)
	if !alive(pidfd) {
		return "", false
	}
	return path, own
}

// nameOf returns the program that a process runs. Of another user's process, the
// kernel tells nobody but root that; then it is the name that the process goes by
// (proc_pid_comm(5)), which it may have given itself.
func nameOf(proc string) (name string, own bool) {
	if exe, err := os.Readlink(proc + "/exe"); err == nil {
		return exe, true
	}
	comm, _ := os.ReadFile(proc + "/comm")
	return strings.TrimSuffix(string(comm), "\n"), false
}

// alive reports whether the process of a pidfd has not ended; one that has is
// readable (pidfd_open(2)).
func alive(pidfd int) bool {
	for {
		fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, 0)
		if err == unix.EINTR {
			continue
		}
		return err == nil && n == 0
	}
}
