//go:build unix

package main

import (
	"errors"
	"io/fs"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cspctl/cspctl/internal/ipc"
)

// runInPlace returns only where that failed.
func runInPlace(exe string, argv, env []string) (code int, err error) {
	return ipc.InPlaceWith(exe, argv, env)
}

// passedOn are the signals that are meant for the command. The last two come from
// the terminal to all of its foreground group.
var passedOn = []os.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGINT, syscall.SIGQUIT}

// runChild runs a program with this one's terminal and descriptors, and returns its
// exit code, as a shell has it. The error says that it was not started.
//
// In the foreground of a terminal it is in this one's process group, which the
// keys reach, and the shell's job control. Elsewhere it has a group of its own, to
// which signals are passed on: those who signal a whole group, as timeout(1) and
// build servers do, would otherwise signal it twice, and a second SIGINT has
// Terraform give up its state.
func runChild(exe string, argv, env []string) (code int, err error) {
	signals := make(chan os.Signal, 16)
	for _, s := range passedOn {
		if !signal.Ignored(s) { // as nohup asked for: the command inherits that
			signal.Notify(signals, s)
		}
	}
	defer signal.Stop(signals)

	type start struct {
		p   *os.Process
		err error
	}
	started, ended := make(chan start), make(chan *os.ProcessState)
	own := !inForeground()
	go func() {
		// PR_SET_PDEATHSIG looks at the end of the thread that forked.
		runtime.LockOSThread()
		attr := &os.ProcAttr{Env: env, Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}, Sys: dyingWithUs()}
		attr.Sys.Setpgid = own
		p, err := os.StartProcess(exe, argv, attr)
		if errors.Is(err, syscall.ENOEXEC) { // a script of the shell, as for execvp(3)
			p, err = os.StartProcess("/bin/sh", append([]string{"sh", exe}, argv[1:]...), attr)
		}
		started <- start{p, err}
		if err == nil {
			state, _ := p.Wait()
			ended <- state
		}
	}()
	s := <-started
	if s.err != nil {
		return 0, s.err
	}
	var last os.Signal
	var at time.Time
	for {
		select {
		case sig := <-signals:
			switch {
			case own && sig == last && time.Since(at) < sameSignal:
				// It was sent to this process, and to its group.
			case own:
				_ = syscall.Kill(-s.p.Pid, sig.(syscall.Signal))
				last, at = sig, time.Now()
			case (sig == syscall.SIGINT || sig == syscall.SIGQUIT) && inForeground():
				// The command has it already.
			default:
				_ = s.p.Signal(sig)
			}
		case state := <-ended:
			return codeOfState(state), nil
		}
	}
}

// sameSignal is within what a signal that comes twice is one.
const sameSignal = 100 * time.Millisecond

func codeOfState(state *os.ProcessState) int {
	if state == nil { // nobody knows how it ended
		return exitFailure
	}
	ws, ok := state.Sys().(syscall.WaitStatus)
	switch {
	case !ok:
		return exitFailure
	case ws.Signaled():
		return 128 + int(ws.Signal())
	}
	return ws.ExitStatus()
}

// inForeground reports whether keys like Ctrl-C reach the process group of this
// process, and with it the command.
func inForeground() bool {
	fd, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Close(fd) }()
	group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

func hasSlash(name string) bool { return strings.Contains(name, "/") }

// lookPath finds a program as a shell does.
func (a *app) lookPath(name string) (string, error) {
	if hasSlash(name) {
		switch err := runnable(name); {
		case err == nil:
			return name, nil
		case isMissing(err):
			return "", a.notFound(name)
		default:
			return "", a.cantRun(name, err)
		}
	}
	var denied error
	for _, dir := range strings.Split(a.getenv("PATH"), ":") {
		if dir == "" {
			dir = "."
		}
		path := dir + "/" + name
		err := runnable(path)
		if err == nil {
			return path, nil
		}
		if !isMissing(err) && !errors.Is(err, syscall.EISDIR) {
			denied = err
		}
	}
	if denied != nil {
		return "", a.cantRun(name, denied)
	}
	return "", a.notFound(name)
}

func isMissing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

func runnable(path string) error {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return syscall.EISDIR
	}
	return unix.Access(path, unix.X_OK)
}
