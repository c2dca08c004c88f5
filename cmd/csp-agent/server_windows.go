package main

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/windows"
)

// serverOf returns the process that serves a pipe; 0 if there is none.
func serverOf(_ context.Context, path string) (pid int, err error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return 0, err
	}
	pipe, err := windows.CreateFile(name, windows.GENERIC_READ, 0, nil, windows.OPEN_EXISTING, windows.SECURITY_SQOS_PRESENT|windows.SECURITY_ANONYMOUS, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, nil
	case err != nil:
		return 0, err
	}
	defer func() { _ = windows.CloseHandle(pipe) }()
	var id uint32
	err = windows.GetNamedPipeServerProcessId(pipe, &id)
	return int(id), err
}

// terminate ends a process: there is no way to ask one without a window.
func terminate(pid int) error { return kill(pid) }

func kill(pid int) error {
	p, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	return p.Kill()
}
