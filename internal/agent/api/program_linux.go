package api

import (
	"os"
	"strconv"
)

// programOf names the program that runs as pid, or nothing.
func programOf(pid int) string {
	if pid <= 0 {
		return ""
	}
	exe, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/exe")
	if err != nil {
		return ""
	}
	return exe
}
