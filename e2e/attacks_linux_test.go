package e2e_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// The test's own binary plays two parts beside the tests: the attacker, and a
// process that is closed to nobody.
const (
	envAttack = "CSPCTL_E2E_ATTACK" // the pid
	envVictim = "CSPCTL_E2E_VICTIM"
)

func init() {
	if os.Getenv(envVictim) != "" {
		// Else Yama (ptrace_scope 1) would keep a sibling out.
		_ = unix.Prctl(unix.PR_SET_PTRACER, ^uintptr(0), 0, 0, 0)
		fmt.Println("ready")
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	if s := os.Getenv(envAttack); s != "" {
		pid, err := strconv.Atoi(s)
		if err != nil {
			fmt.Println(err)
			os.Exit(2)
		}
		for _, a := range attacks {
			err := a.try(pid)
			fmt.Printf("%s=%t %v\n", a.name, err == nil, err)
		}
		os.Exit(0)
	}
}

// attacks are the ways in which one process looks into another of the same
// user. Each returns nil where it got in.
var attacks = []struct {
	name string
	try  func(pid int) error
}{
	{"mem", func(pid int) error { return read(pid, "mem", 0) }},
	{"task-mem", func(pid int) error { return read(pid, fmt.Sprintf("task/%d/mem", pid), 0) }},
	{"environ", func(pid int) error { return read(pid, "environ", 1) }},
	{"auxv", func(pid int) error { return read(pid, "auxv", 1) }},
	{"maps", func(pid int) error { return read(pid, "maps", 1) }},
	{"fd", func(pid int) error { _, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid)); return err }},
	{"exe", func(pid int) error { _, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); return err }},
	{"ptrace-attach", func(pid int) error { return traced(pid, unix.PtraceAttach) }},
	{"ptrace-seize", func(pid int) error { return traced(pid, unix.PtraceSeize) }},
	{"process_vm_readv", func(pid int) error {
		at, err := firstMapping(pid)
		if err != nil {
			at = 0x400000 // where Go puts programs
		}
		b := make([]byte, 16)
		_, err = unix.ProcessVMReadv(pid, []unix.Iovec{{Base: &b[0], Len: 16}}, []unix.RemoteIovec{{Base: at, Len: 16}}, 0)
		return err
	}},
	{"pidfd_getfd", func(pid int) error {
		p, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			return fmt.Errorf("pidfd_open: %w", err)
		}
		fd, err := unix.PidfdGetfd(p, 0, 0)
		if err == nil {
			_ = unix.Close(fd)
		}
		return err
	}},
	// What a core dump would need.
	{"prlimit-core", func(pid int) error {
		var l unix.Rlimit
		if err := unix.Prlimit(pid, unix.RLIMIT_CORE, nil, &l); err != nil {
			return err
		}
		if l.Max == 0 {
			l.Max = unix.RLIM_INFINITY
		}
		l.Cur = l.Max
		return unix.Prlimit(pid, unix.RLIMIT_CORE, &l, nil)
	}},
}

// read opens a file of /proc/PID, and reads at least so many bytes of it.
func read(pid int, name string, least int) error {
	f, err := os.Open(fmt.Sprintf("/proc/%d/%s", pid, name))
	if err != nil {
		return err
	}
	defer f.Close()
	if least == 0 {
		return nil
	}
	_, err = f.Read(make([]byte, least))
	return err
}

func firstMapping(pid int) (uintptr, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return 0, err
	}
	from, _, _ := strings.Cut(string(b), "-")
	at, err := strconv.ParseUint(from, 16, 64)
	return uintptr(at), err
}

// traced becomes the tracer of a process, and lets it go again.
func traced(pid int, attach func(int) error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := attach(pid); err != nil {
		return err
	}
	_ = unix.Kill(pid, unix.SIGSTOP) // a seized one has to be stopped to be let go
	var ws unix.WaitStatus
	_, _ = unix.Wait4(pid, &ws, unix.WALL, nil)
	err := unix.PtraceDetach(pid)
	_ = unix.Kill(pid, unix.SIGCONT)
	return err
}

// attacker is a copy of the test's binary that the stranger may run.
func attacker(t *testing.T) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "a")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	exe = filepath.Join(dir, "attacker")
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(exe, b, 0o755)); err != nil {
		t.Fatal(err)
	}
	return exe
}

// attack has the stranger try everything, and returns what succeeded, by name.
func attack(t *testing.T, exe string, pid int) (got map[string]bool, said string) {
	t.Helper()
	c := asStranger(exe)
	c.Env = append(c.Env, fmt.Sprintf("%s=%d", envAttack, pid))
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("the attacker: %v: %s", err, out)
	}
	got = map[string]bool{}
	for line := range strings.Lines(string(out)) {
		name, how, _ := strings.Cut(line, "=")
		got[name] = strings.HasPrefix(how, "true")
	}
	if len(got) != len(attacks) {
		t.Fatalf("%d attacks of %d: %s", len(got), len(attacks), out)
	}
	return got, string(out)
}

func asStranger(exe string, args ...string) *exec.Cmd {
	c := exec.Command(exe, args...)
	c.Env, c.Dir = []string{"PATH=" + os.Getenv("PATH")}, "/"
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: stranger, Gid: stranger}}
	return c
}
