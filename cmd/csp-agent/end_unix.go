//go:build unix

package main

import "syscall"

// terminate asks a process to end, also one that was stopped.
func terminate(pid int) error {
	err := syscall.Kill(pid, syscall.SIGTERM)
	_ = syscall.Kill(pid, syscall.SIGCONT)
	return err
}

func kill(pid int) error { return syscall.Kill(pid, syscall.SIGKILL) }
