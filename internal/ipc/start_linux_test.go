package ipc_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cspctl/cspctl/internal/ipc"
)

// T29: a started agent has a session of its own, / as its directory, /dev/null
// for descriptors and a clean environment.
func TestT29Detached(t *testing.T) {
	s := setStage(t, "agent")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "not for children")
	// A descriptor that is inherited, as a shell's 3>&1 is.
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = r.Close(), w.Close() }()
	cmd := self(t, "client")
	cmd.ExtraFiles = []*os.File{w}
	if out, err := cmd.Output(); err != nil {
		t.Fatalf("%q, %v", out, err)
	}
	pids := s.starts(t)
	if len(pids) != 1 {
		t.Fatalf("%d agents were started", len(pids))
	}
	proc := fmt.Sprintf("/proc/%d/", pids[0])
	if cwd, err := os.Readlink(proc + "cwd"); err != nil || cwd != "/" {
		t.Errorf("cwd is %q, %v", cwd, err)
	}
	stat, err := os.ReadFile(proc + "stat")
	if err != nil {
		t.Fatal(err)
	}
	// After the name: state, ppid, pgrp, session, tty_nr; see proc(5).
	fields := strings.Fields(string(stat[strings.LastIndex(string(stat), ")")+1:]))
	if pid := fmt.Sprint(pids[0]); fields[2] != pid || fields[3] != pid || fields[4] != "0" {
		t.Errorf("pgrp, session, tty are %v", fields[2:5])
	}
	fds, err := os.ReadDir(proc + "fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		to, err := os.Readlink(proc + "fd/" + fd.Name())
		if err != nil {
			continue
		}
		if standard := slices.Contains([]string{"0", "1", "2"}, fd.Name()); standard && to != "/dev/null" || strings.HasPrefix(to, "pipe:") {
			t.Errorf("descriptor %s is %s", fd.Name(), to)
		}
	}
	environ, err := os.ReadFile(proc + "environ")
	if err != nil {
		t.Fatal(err)
	}
	for entry := range strings.SplitSeq(strings.TrimRight(string(environ), "\x00"), "\x00") {
		if len(ipc.KeptEnv([]string{entry})) == 0 {
			name, _, _ := strings.Cut(entry, "=")
			t.Errorf("the agent's environment has %s", name)
		}
	}
}

// A descriptor that the starter was given stays usable for a program that it
// runs afterwards.
func TestStartKeepsInheritedDescriptors(t *testing.T) {
	setStage(t, "agent")
	cmd := self(t, "client then show")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = r.Close(), w.Close() }()
	cmd.ExtraFiles = []*os.File{w}
	if out, err := cmd.Output(); err != nil || string(out) != "3 is inherited\n" {
		t.Errorf("got %q, %v", out, err)
	}
}
