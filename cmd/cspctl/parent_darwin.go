package main

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// parentProcess names the process that runs this one: its pid, and when it was
// started, since pids are used again.
func parentProcess() (string, bool) {
	pid := os.Getppid()
	info, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil || int(info.Proc.P_pid) != pid {
		return "", false
	}
	start := info.Proc.P_starttime
	return strconv.Itoa(pid) + ":" + strconv.FormatInt(start.Sec, 36) + "." + strconv.FormatInt(int64(start.Usec), 36), true
}
