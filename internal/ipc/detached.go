package ipc

import (
	"os"
	"path/filepath"
	"time"
)

// FindProgram returns the path of the program of that name in the absolute
// folders of PATH, or "".
func FindProgram(name string, getenv func(string) string) string {
	return findProgram(name, filepath.SplitList(getenv("PATH")))
}

// Detached starts a program that shares the environment with the caller and
// nothing else: no descriptor, no terminal, no folder. It waits for the end of
// the program, but no longer than wait, and returns how it ended: "exit status
// 0", or "" if it goes on.
//
// Unlike os/exec it costs nothing at start-up: it is how agents are started.
func Detached(exe string, args []string, wait time.Duration) (how string, err error) {
	c, err := spawn(exe, append([]string{exe}, args...), os.Environ())
	if err != nil {
		return "", err
	}
	defer c.release()
	deadline := time.Now().Add(wait)
	var p pause
	for {
		if how, ended := c.ended(); ended {
			return how, nil
		}
		if !p.until(deadline) {
			return "", nil
		}
	}
}
