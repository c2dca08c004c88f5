package ipc

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/windows"
)

// mayStart allows it: the pipe's name has the SID of whoever starts the agent.
func mayStart(string, func(string) string) error { return nil }

// startLock is held by whoever starts the agent.
type startLock struct{ h windows.Handle }

func openStartLock(_ string, getenv func(string) string) (*startLock, error) {
	dir := filepath.Join(getenv("LOCALAPPDATA"), "cspctl")
	if !filepath.IsAbs(dir) {
		return nil, errors.New("LOCALAPPDATA is not set")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	name, err := windows.UTF16PtrFromString(filepath.Join(dir, "start.lock"))
	if err != nil {
		return nil, err
	}
	h, err := windows.CreateFile(name, windows.GENERIC_READ|windows.GENERIC_WRITE,
		windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE, nil, windows.OPEN_ALWAYS, windows.FILE_ATTRIBUTE_NORMAL, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: filepath.Join(dir, "start.lock"), Err: err}
	}
	return &startLock{h}, nil
}

func (l *startLock) try() bool {
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	return windows.LockFileEx(l.h, flags, 0, 1, 0, new(windows.Overlapped)) == nil
}

func (l *startLock) release() { _ = windows.CloseHandle(l.h) }

// child is a process that this one started, and that outlives it.
type child struct {
	p *os.Process
	h windows.Handle // 0 if it can't be watched
}

// spawn starts a program without a console and with no handle of the caller.
func spawn(exe string, argv, env []string) (*child, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = null.Close() }()
	p, err := os.StartProcess(exe, argv, &os.ProcAttr{
		Dir:   filepath.VolumeName(exe) + `\`,
		Env:   env,
		Files: []*os.File{null, null, null},
		Sys:   &syscall.SysProcAttr{CreationFlags: windows.DETACHED_PROCESS | windows.CREATE_NEW_PROCESS_GROUP, HideWindow: true},
	})
	if err != nil {
		return nil, err
	}
	h, err := windows.OpenProcess(windows.SYNCHRONIZE|windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(p.Pid))
	if err != nil {
		h = 0
	}
	return &child{p, h}, nil
}

// ended reports whether the process has ended, and how.
func (c *child) ended() (how string, ended bool) {
	if c.h == 0 {
		return "", false
	}
	if event, err := windows.WaitForSingleObject(c.h, 0); err != nil || event != windows.WAIT_OBJECT_0 {
		return "", false
	}
	var code uint32
	if err := windows.GetExitCodeProcess(c.h, &code); err != nil {
		return "unknown", true
	}
	return "exit status " + strconv.FormatUint(uint64(code), 10), true
}

func (c *child) release() {
	if c.h != 0 {
		_ = windows.CloseHandle(c.h)
	}
	_ = c.p.Release()
}

// startUnit: there is no service manager with sockets here.
func startUnit(string, func(string) string, time.Time) bool { return false }

func isExecutable(os.FileInfo) bool { return true }
