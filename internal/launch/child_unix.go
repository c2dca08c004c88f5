//go:build linux || darwin

package launch

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Verb is the agent's hidden verb that becomes another program: see Exec.
const Verb = "exec-program"

// statusFD is where Exec writes the number of the error, if it fails.
const statusFD = 3

// prepare has the agent's own program called with Verb: a child can't be given
// another umask otherwise without changing the agent's for a moment.
func (l *Launcher) prepare(argv []string) *exec.Cmd {
	exe := "/proc/self/exe" // the same version, also when the file was replaced
	if runtime.GOOS != "linux" {
		exe, _ = os.Executable()
	}
	cmd := exec.Command(exe, append([]string{Verb, strconv.FormatInt(int64(l.umask), 8)}, argv...)...) //nolint:noctx // its whole group is ended
	cmd.Args[0] = "csp-agent"
	cmd.Dir = "/"
	cmd.Env = Environment(os.Environ())
	return cmd
}

// Exec is what the agent does for Verb, with the arguments after it: a umask
// and the words of a program, which the process becomes. The soft limit for
// core dumps is raised to the hard one; that one was closed by the agent, and
// only root can raise it again. It returns an exit code if it fails.
func Exec(args []string) int {
	status, err := unix.FcntlInt(statusFD, unix.F_GETFD, 0)
	if err != nil || len(args) < 2 {
		return 2
	}
	_, _ = unix.FcntlInt(statusFD, unix.F_SETFD, status|unix.FD_CLOEXEC)
	closeOthers()
	if mask, err := strconv.ParseUint(args[0], 8, 9); err == nil {
		unix.Umask(int(mask))
	}
	var core unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_CORE, &core) == nil && core.Cur < core.Max {
		core.Cur = core.Max
		_ = unix.Setrlimit(unix.RLIMIT_CORE, &core)
	}
	// The runtime leaves these ignored if they were; a caught signal has its
	// default effect after execve.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP, syscall.SIGINT)
	err = syscall.Exec(args[1], args[1:], os.Environ())
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		_, _ = unix.Write(statusFD, []byte(strconv.Itoa(int(errno))))
	}
	return 127
}

// closeOthers keeps descriptors from the program that the agent was started
// with, as by a shell's 5>&1.
func closeOthers() {
	entries, _ := os.ReadDir("/dev/fd")
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
}

// group is a child and its process group, which has the same number.
type group struct{ pid int }

// startGroup returns once the program itself runs. If that fails, the error is
// that of execve(2), or of ctx.
func startGroup(ctx context.Context, cmd *exec.Cmd) (*group, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	cmd.ExtraFiles = []*os.File{w}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	_ = w.Close()
	if err != nil {
		return nil, err
	}
	if limit, ok := ctx.Deadline(); ok {
		_ = r.SetReadDeadline(limit)
	}
	defer context.AfterFunc(ctx, func() { _ = r.SetReadDeadline(time.Unix(0, 0)) })()
	b := make([]byte, 16)
	n, err := r.Read(b)
	if n == 0 && !errors.Is(err, os.ErrDeadlineExceeded) {
		return &group{cmd.Process.Pid}, nil // closed by execve
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if n == 0 {
		return nil, err
	}
	errno, err := strconv.Atoi(string(b[:n]))
	if err != nil {
		return nil, err
	}
	return nil, syscall.Errno(errno)
}

// awaitExit returns when the program has ended, and leaves it to be reaped.
func (g *group) awaitExit() { awaitExit(g.pid) }

func (g *group) terminate() { _ = syscall.Kill(-g.pid, syscall.SIGTERM) }
func (g *group) kill()      { _ = syscall.Kill(-g.pid, syscall.SIGKILL) }
func (g *group) close()     {}

// isFormat: execve(2) knows no way to run such a file.
func isFormat(err error) bool { return errors.Is(err, syscall.ENOEXEC) }

func signalOf(exit *exec.ExitError) string {
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return unix.SignalName(ws.Signal())
	}
	return ""
}

// startAlone starts a program that may outlive the agent; done is called when
// it has ended.
func startAlone(ctx context.Context, cmd *exec.Cmd) (done func(), err error) {
	g, err := startGroup(ctx, cmd)
	if err != nil {
		return nil, err
	}
	return g.close, nil
}
