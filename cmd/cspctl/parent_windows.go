package main

import (
	"os"
	"strconv"

	"golang.org/x/sys/windows"
)

// parentProcess names the process that runs this one: its pid, and when it was
// started, since pids are used again.
func parentProcess() (string, bool) {
	pid := os.Getppid()
	h, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(pid))
	if err != nil {
		return "", false
	}
	defer func() { _ = windows.CloseHandle(h) }()
	var start, exit, kernel, user windows.Filetime
	if windows.GetProcessTimes(h, &start, &exit, &kernel, &user) != nil {
		return "", false
	}
	return strconv.Itoa(pid) + ":" + strconv.FormatInt(start.Nanoseconds(), 36), true
}
