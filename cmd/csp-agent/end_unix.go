//go:build unix

package main

import (
	"os"
	"strconv"
	"syscall"
)

// isAgent reports whether a process is a csp-agent, by the kernel's word; where
// /proc is not there, it can't tell.
func isAgent(pid int) bool {
	comm, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
	return err == nil && string(comm) == "csp-agent\n"
}

// terminate asks a process to end, also one that was stopped.
func terminate(pid int) error {
	err := syscall.Kill(pid, syscall.SIGTERM)
	_ = syscall.Kill(pid, syscall.SIGCONT)
	return err
}

func kill(pid int) error { return syscall.Kill(pid, syscall.SIGKILL) }
