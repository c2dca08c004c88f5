package launch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

func (l *Launcher) prepare(argv []string) *exec.Cmd {
	cmd := exec.Command(argv[0], argv[1:]...) //nolint:noctx // its whole job is ended
	cmd.Dir = filepath.VolumeName(argv[0]) + `\`
	cmd.Env = Environment(os.Environ())
	return cmd
}

// group is a child, and a job that everything it starts is part of.
type group struct {
	job, process windows.Handle
	cmd          *exec.Cmd
}

// startGroup starts the program without a console of its own. It is suspended
// until it is part of the job, so that all that it starts is.
func startGroup(_ context.Context, cmd *exec.Cmd) (*group, error) {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return nil, fmt.Errorf("CreateJobObject: %w", err)
	}
	limits := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{
		BasicLimitInformation: windows.JOBOBJECT_BASIC_LIMIT_INFORMATION{LimitFlags: windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE},
	}
	if _, err := windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits))); err != nil {
		_ = windows.CloseHandle(job)
		return nil, fmt.Errorf("SetInformationJobObject: %w", err)
	}
	cmd.SysProcAttr = quiet()
	cmd.SysProcAttr.CreationFlags |= windows.CREATE_SUSPENDED
	if err := cmd.Start(); err != nil {
		_ = windows.CloseHandle(job)
		return nil, err
	}
	g := &group{job: job, cmd: cmd}
	if err := g.adopt(); err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		g.close()
		return nil, err
	}
	return g, nil
}

// adopt makes the suspended child part of the job, and lets it run.
func (g *group) adopt() (err error) {
	pid := uint32(g.cmd.Process.Pid)
	g.process, err = windows.OpenProcess(windows.SYNCHRONIZE|windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, pid)
	if err != nil {
		return fmt.Errorf("OpenProcess: %w", err)
	}
	if err := windows.AssignProcessToJobObject(g.job, g.process); err != nil {
		return fmt.Errorf("AssignProcessToJobObject: %w", err)
	}
	return resume(pid)
}

// resume lets a process run that was started suspended: it has one thread, the
// handle of which os.StartProcess does not hand on.
func resume(pid uint32) error {
	threads, err := windows.CreateToolhelp32Snapshot(windows.TH32CS_SNAPTHREAD, 0)
	if err != nil {
		return fmt.Errorf("CreateToolhelp32Snapshot: %w", err)
	}
	defer func() { _ = windows.CloseHandle(threads) }()
	entry := windows.ThreadEntry32{Size: uint32(unsafe.Sizeof(windows.ThreadEntry32{}))}
	for err = windows.Thread32First(threads, &entry); err == nil; err = windows.Thread32Next(threads, &entry) {
		if entry.OwnerProcessID != pid {
			continue
		}
		thread, err := windows.OpenThread(windows.THREAD_SUSPEND_RESUME, false, entry.ThreadID)
		if err != nil {
			return fmt.Errorf("OpenThread: %w", err)
		}
		defer func() { _ = windows.CloseHandle(thread) }()
		if _, err := windows.ResumeThread(thread); err != nil {
			return fmt.Errorf("ResumeThread: %w", err)
		}
		return nil
	}
	return fmt.Errorf("the program's thread was not found: %w", err)
}

// startAlone starts a program in no job, whose end would be that of a browser
// it has started.
func startAlone(_ context.Context, cmd *exec.Cmd) (done func(), err error) {
	cmd.SysProcAttr = quiet()
	return func() {}, cmd.Start()
}

// quiet: without a console of its own.
func quiet() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: windows.CREATE_NO_WINDOW | windows.CREATE_NEW_PROCESS_GROUP, HideWindow: true}
}

func (g *group) awaitExit() { _, _ = windows.WaitForSingleObject(g.process, windows.INFINITE) }

// terminate: there is no gentle way for a program without a window.
func (g *group) terminate() { g.kill() }
func (g *group) kill() {
	_ = windows.TerminateJobObject(g.job, 1)
	_ = windows.TerminateProcess(g.process, 1)
}

func (g *group) close() {
	if g.process != 0 {
		_ = windows.CloseHandle(g.process)
	}
	_ = windows.CloseHandle(g.job)
}

// isFormat: the file is no program of this system's.
func isFormat(err error) bool { return errors.Is(err, windows.ERROR_BAD_EXE_FORMAT) }

func signalOf(*exec.ExitError) string { return "" }
