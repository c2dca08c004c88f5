package e2e_test

import (
	"bytes"
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

// P1: what the agent holds in its memory, no other program of the same user
// can read there, neither from an agent that cspctl started nor from one that
// was started by hand.
func TestP1MemoryIsClosedToTheSameUser(t *testing.T) {
	home, run, shell := strangerWorld(t, true)
	exe := attacker(t)

	// What succeeds against a process that is closed to nobody.
	victim := asStranger(exe)
	victim.Env = append(victim.Env, envVictim+"=1")
	stdin, err := victim.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stdin.Close(); _ = victim.Wait() }()
	if _, err := io.ReadFull(stdout, make([]byte, len("ready\n"))); err != nil {
		t.Fatal(err)
	}
	open, said := attack(t, exe, victim.Process.Pid)
	for _, a := range attacks {
		if !open[a.name] {
			// Some containers forbid a call to everybody.
			t.Logf("%s proves nothing here: it fails against an open process, too", a.name)
		}
	}
	for _, name := range []string{"mem", "environ", "maps"} {
		if !open[name] {
			t.Fatalf("the attacker is harmless: %s", said)
		}
	}

	pid := func() int {
		t.Helper()
		pids := agentsOf(run)
		if len(pids) != 1 {
			t.Fatalf("agents: %v", pids)
		}
		return pids[0]
	}
	closed := func(how string) {
		t.Helper()
		if out, err := shell("cspctl profile list"); err != nil {
			t.Fatalf("%s: %v: %s", how, err, out)
		}
		p := pid()
		if got, said := attack(t, exe, p); true {
			for name, in := range got {
				if in {
					t.Errorf("%s: %s got in:\n%s", how, name, said)
				}
			}
		}
		limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", p))
		if err != nil || !bytes.Contains(bytes.Join(bytes.Fields(limits), []byte(" ")), []byte("Max core file size 0 0 bytes")) {
			t.Errorf("%s: core dumps are not forbidden: %v\n%s", how, err, limits)
		}
		if out, err := shell("cspctl profile list"); err != nil {
			t.Errorf("%s: after the attacks: %v: %s", how, err, out)
		}
	}
	closed("started by cspctl")
	if err := syscall.Kill(pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if out, err := shell(filepath.Join(bin, "csp-agent") + " run >" + home + "/log 2>&1 & i=0; until CSPCTL_AUTOSTART=0 cspctl profile list >/dev/null 2>&1 || test $i = 400; do i=$((i+1)); sleep 0.05; done"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	closed("started by hand")
}
