package e2e_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

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
