package launch

import "golang.org/x/sys/unix"

func awaitExit(pid int) {
	for unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR { //nolint:errorlint // as the system call returns it
	}
}
