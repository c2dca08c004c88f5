package main

import (
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"
)

// runInPlace: a process can't be replaced here, so it is runChild.
func runInPlace(exe string, argv, env []string) (code int, err error) {
	return runChild(exe, argv, env)
}

// runChild runs a program with this one's console and handles, and returns its
// exit code. The error says that it was not started. Ctrl-C and Ctrl-Break come
// from the console to both.
func runChild(exe string, argv, env []string) (code int, err error) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt) // so that cspctl waits for what the command makes of it
	defer signal.Stop(signals)
	p, err := os.StartProcess(exe, argv, &os.ProcAttr{Env: env, Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
	if err != nil {
		return 0, err
	}
	defer dieWithUs(p.Pid)()
	state, err := p.Wait()
	if err != nil {
		return exitFailure, nil //nolint:nilerr // it was started, and what became of it is not known
	}
	return state.ExitCode(), nil
}

// dieWithUs has the system end the command, and not what the command started, if
// this process is killed: a job ends with its last handle. The function it
// returns takes that back.
func dieWithUs(pid int) (undo func()) {
	none := func() {}
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return none
	}
	limit := func(flags uint32) error {
		var info windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION
		info.BasicLimitInformation.LimitFlags = flags
		_, err := windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
			uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info)))
		return err
	}
	p, err := windows.OpenProcess(windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, uint32(pid))
	if err == nil {
		err = limit(windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE | windows.JOB_OBJECT_LIMIT_SILENT_BREAKAWAY_OK)
		if err == nil {
			err = windows.AssignProcessToJobObject(job, p)
		}
		_ = windows.CloseHandle(p)
	}
	if err != nil {
		_ = windows.CloseHandle(job)
		return none
	}
	return func() {
		_ = limit(0)
		_ = windows.CloseHandle(job)
	}
}

func hasSlash(name string) bool { return strings.ContainsAny(name, `\/:`) }

// lookPath finds a program as cmd.exe does, but not in the current folder.
func (a *app) lookPath(name string) (string, error) {
	dirs := []string{""}
	if !hasSlash(name) {
		dirs = filepath.SplitList(a.getenv("PATH"))
	}
	exts := strings.Split(a.getenv("PATHEXT"), ";")
	if a.getenv("PATHEXT") == "" {
		exts = []string{".com", ".exe", ".bat", ".cmd"}
	}
	if filepath.Ext(name) != "" {
		exts = append([]string{""}, exts...)
	}
	for _, dir := range dirs {
		if dir == "" && !hasSlash(name) {
			continue
		}
		for _, ext := range exts {
			path := filepath.Join(dir, name) + ext
			if info, err := os.Stat(path); err == nil && !info.IsDir() {
				return path, nil
			}
		}
	}
	return "", a.notFound(name)
}
