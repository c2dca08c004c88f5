package main

import "os"

// isAgent can't tell.
func isAgent(int) bool { return false }

// terminate ends a process: there is no way to ask one without a window.
func terminate(pid int) error { return kill(pid) }

func kill(pid int) error {
	p, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	return p.Kill()
}
