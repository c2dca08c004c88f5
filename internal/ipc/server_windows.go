package ipc

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/windows"
)

// ListenerPID returns the process that serves a pipe, by the system's word; 0 if
// there is none.
func ListenerPID(path string) (pid int, err error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return 0, err
	}
	const anonymous = windows.SECURITY_SQOS_PRESENT | windows.SECURITY_ANONYMOUS // it can't act as this user
	pipe, err := windows.CreateFile(name, windows.GENERIC_READ, 0, nil, windows.OPEN_EXISTING, anonymous, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer func() { _ = windows.CloseHandle(pipe) }()
	var id uint32
	err = windows.GetNamedPipeServerProcessId(pipe, &id)
	return int(id), err
}
