package main

import (
	"bytes"
	"os"
	"strconv"
)

// parentProcess names the process that runs this one: its pid, and when it was
// started, since pids are used again (proc_pid_stat(5)).
func parentProcess() (string, bool) {
	pid := strconv.Itoa(os.Getppid())
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	start, ok := startOf(stat)
	return pid + ":" + start, err == nil && ok
}

// startOf is the 22nd field of a process's stat. The second one is the
// program's name, in which anything may be.
func startOf(stat []byte) (string, bool) {
	end := bytes.LastIndexByte(stat, ')')
	fields := bytes.Fields(stat[end+1:])
	const before = 22 - 3 // fields between the name and it
	if end < 0 || len(fields) <= before {
		return "", false
	}
	return string(fields[before]), true
}
