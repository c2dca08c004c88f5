package launch

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

func awaitExit(pid int) {
	const pPID = 1     // P_PID in <sys/wait.h>
	var info [128]byte // siginfo_t
	for {
		_, _, errno := unix.Syscall6(unix.SYS_WAITID, pPID, uintptr(pid), uintptr(unsafe.Pointer(&info)), unix.WEXITED|unix.WNOWAIT, 0, 0) //nolint:staticcheck // x/sys wraps no waitid of libSystem's
		if errno != unix.EINTR {
			return
		}
	}
}
