//go:build linux || darwin

package ipc

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// mayStart refuses to start an agent under a home or runtime directory of
// somebody else, as sudo leaves them: its files would lock the owner out.
func mayStart(path string, getenv func(string) string) error {
	fail := func(message, hint string) error {
		return &Error{Code: CodeAgent, Message: "no agent answers at " + oneLine(path) + ", and none is started: " + message, Hint: hint}
	}
	home := getenv("HOME")
	if home == "" {
		return fail("HOME is not set", "set HOME, or start it yourself: csp-agent run")
	}
	for _, dir := range []struct{ name, path string }{{"HOME", home}, {"XDG_RUNTIME_DIR", getenv("XDG_RUNTIME_DIR")}} {
		if info, err := os.Stat(dir.path); dir.path != "" && err == nil && !isOwner(info) {
			return fail(dir.name+" belongs to another user", "run cspctl as that user, without sudo, or set HOME to your own: sudo -H cspctl")
		}
	}
	dir := filepath.Dir(path)
	if filepath.Clean(dir) == systemDir {
		return fail("the socket is the system service's", "unset "+EnvSocket+" to use an agent of your own")
	}
	if info, err := os.Lstat(dir); err == nil && (!info.IsDir() || !isOwner(info) || info.Mode().Perm()&0o022 != 0) {
		return fail("the socket's folder is not yours alone", "check the owner and mode of "+oneLine(dir))
	}
	return nil
}

// startLock is held by whoever starts the agent.
type startLock struct{ fd int }

func openStartLock(path string, _ func(string) string) (*startLock, error) {
	dir := filepath.Dir(path)
	if err := MakeFolder(dir, 0o700); err != nil {
		return nil, err
	}
	name := filepath.Join(dir, "start.lock")
	const flags = syscall.O_RDWR | syscall.O_CREAT | syscall.O_CLOEXEC | syscall.O_NOFOLLOW
	fd, err := syscall.Open(name, flags, 0o600)
	if err == syscall.EACCES && isOurFile(name) && os.Chmod(name, 0o600) == nil {
		fd, err = syscall.Open(name, flags, 0o600)
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	_ = syscall.Fchmod(fd, 0o600) // whatever the umask is
	return &startLock{fd}, nil
}

func isOurFile(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode().IsRegular() && isOwner(info)
}

func (l *startLock) try() bool { return syscall.Flock(l.fd, syscall.LOCK_EX|syscall.LOCK_NB) == nil }
func (l *startLock) release()  { _ = syscall.Close(l.fd) }

// child is a process that this one started, and that outlives it.
type child struct{ pid int }

// spawn starts a program that shares nothing with the caller: descriptors on
// /dev/null (or a $(...) around the caller would wait for it), a session of
// its own (or it would die with the terminal), / as its directory.
func spawn(exe string, argv, env []string) (*child, error) {
	null, err := syscall.Open(os.DevNull, syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = syscall.Close(null) }()
	defer keepFromChild()()
	pid, err := syscall.ForkExec(exe, argv, &syscall.ProcAttr{
		Dir:   "/",
		Env:   env,
		Files: []uintptr{uintptr(null), uintptr(null), uintptr(null)},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return nil, err
	}
	return &child{pid}, nil
}

// keepFromChild marks the descriptors that this process inherited close-on-
// exec, since a shell's 3>&1 would keep its reader waiting as 1 would. The
// function it returns takes that back: a program that cspctl runs in its place
// gets what the shell meant for it.
func keepFromChild() (undo func()) {
	var marked []int
	entries, err := os.ReadDir("/dev/fd") // on Linux a link to /proc/self/fd
	fds := make([]int, 0, max(len(entries), 256))
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil {
			fds = append(fds, fd)
		}
	}
	if err != nil {
		for fd := range 256 {
			fds = append(fds, fd)
		}
	}
	for _, fd := range fds {
		if flags, err := fcntl(fd, syscall.F_GETFD, 0); fd > 2 && err == nil && flags&syscall.FD_CLOEXEC == 0 {
			if _, err := fcntl(fd, syscall.F_SETFD, flags|syscall.FD_CLOEXEC); err == nil {
				marked = append(marked, fd)
			}
		}
	}
	return func() {
		for _, fd := range marked {
			_, _ = fcntl(fd, syscall.F_SETFD, 0)
		}
	}
}

// ended reports whether the process has ended, and how.
func (c *child) ended() (how string, ended bool) {
	var ws syscall.WaitStatus
	pid, err := syscall.Wait4(c.pid, &ws, syscall.WNOHANG, nil)
	switch {
	case err == syscall.EINTR || err == nil && pid == 0:
		return "", false
	case err != nil:
		return "unknown", true
	case ws.Signaled():
		return "killed by signal " + strconv.Itoa(int(ws.Signal())), true
	}
	return "exit status " + strconv.Itoa(ws.ExitStatus()), true
}

func (c *child) release() {}

// startUnit has the user's service manager start the agent's socket unit, if
// one is installed for that path, and reports whether it did.
func startUnit(path string, getenv func(string) string, limit time.Time) bool {
	runtime := runtimeDir(getenv)
	if runtime == "" || path != filepath.Join(runtime, socketFolder, socketName) || !hasUnit(getenv) {
		return false
	}
	// The socket of the user's manager: without it systemctl would only fail.
	if info, err := os.Stat(filepath.Join(runtime, "systemd", "private")); err != nil || info.Mode().Type() != os.ModeSocket {
		return false
	}
	exe := findProgram("systemctl", filepath.SplitList(getenv("PATH")))
	if exe == "" {
		return false
	}
	env := slices.DeleteFunc(keptEnv(os.Environ()), func(entry string) bool { return strings.HasPrefix(entry, "XDG_RUNTIME_DIR=") })
	env = append(env, "XDG_RUNTIME_DIR="+runtime)
	// The service as well: where the socket's path is gone, systemd does not
	// know, and the agent makes it again.
	child, err := spawn(exe, []string{"systemctl", "--user", "start", "csp-agent.socket", "csp-agent.service"}, env)
	if err != nil {
		return false
	}
	limit = limit.Add(-startWait / 4) // leaves time to start one without it
	var wait pause
	for {
		if how, ended := child.ended(); ended {
			return how == "exit status 0"
		}
		if !wait.until(limit) {
			_ = syscall.Kill(child.pid, syscall.SIGKILL)
			return false
		}
	}
}

// hasUnit reports whether the agent's socket unit is installed for the user.
func hasUnit(getenv func(string) string) bool {
	config := getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(config) {
		config = filepath.Join(getenv("HOME"), ".config")
	}
	for _, dir := range []string{config, "/etc", "/usr/local/lib", "/usr/lib"} {
		if _, err := os.Stat(filepath.Join(dir, "systemd", "user", "csp-agent.socket")); err == nil {
			return true
		}
	}
	return false
}

func isExecutable(info os.FileInfo) bool { return info.Mode().Perm()&0o111 != 0 }
