//go:build unix

package e2e_test

import (
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// limited makes a command in the world, under limits that the shell sets.
func (w *world) limited(ulimit, script string) *exec.Cmd {
	c := exec.Command("bash", "-c", ulimit+" && "+script)
	c.Env = w.env
	return c
}

// P8: the limits of the shell that happened to start the agent are not the
// agent's.
func TestP8LimitsOfTheFirstCaller(t *testing.T) {
	t.Parallel()
	w := worldFor(t)
	if err := w.startSim([]string{"prod"}, nil); err != nil {
		t.Fatal(err)
	}
	if out, err := w.limited("ulimit -S -f 0 && ulimit -S -n 64", "cspctl profile list").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	w.mustLogin(t)
	if out, err := w.cspctl("token", "prod").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestLimitsTooLowToServe(t *testing.T) {
	t.Parallel()
	w := worldFor(t)
	for ulimit, want := range map[string]string{"ulimit -f 0": "the size of a file", "ulimit -n 100": "open files"} {
		out, err := w.limited(ulimit, "exec csp-agent run").CombinedOutput()
		if err == nil || !strings.HasPrefix(string(out), "csp-agent: error: the limit for "+want) || !strings.Contains(string(out), "raise it ("+ulimit[:len("ulimit -f")]) {
			t.Errorf("%s: %v: %s", ulimit, err, out)
		}
	}
}

// P8: with few open files allowed, clients that only hold connections keep the
// agent from nothing but further connections, and not for long.
func TestP8FewOpenFiles(t *testing.T) {
	t.Parallel()
	w := bareWorld(t)
	c := w.limited("ulimit -n 256", "exec csp-agent run")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{Cmd: c, ended: make(chan struct{})}
	go func() { _ = c.Wait(); close(p.ended) }()
	w.agent = p
	if err := within(10*time.Second, func() error { return w.cspctl("profile", "list").Run() }); err != nil {
		t.Fatal(err)
	}
	out, err := w.cspctl("socket").Output()
	if err != nil {
		t.Fatal(err)
	}
	for range 300 {
		idle, err := net.Dial("unix", strings.TrimSpace(string(out)))
		if err != nil {
			t.Fatal(err)
		}
		defer idle.Close()
	}
	w.mustLogin(t) // writes files and calls a server
	if out, err := w.cspctl("token", "prod").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
