package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// P8: a replaced csp-agent leaves the one that runs at its work, and is what is
// started next; so is one that was deleted in between.
func TestP8ReplacedBinary(t *testing.T) {
	w := unserviced(t, nil)
	end(t, w.pid(t), syscall.SIGKILL)
	dir := t.TempDir()
	install := func(how string) {
		t.Helper()
		for _, name := range []string{"cspctl", "csp-agent"} {
			if err := exec.Command("cp", filepath.Join(bin, name), filepath.Join(dir, name+how)).Run(); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(filepath.Join(dir, name+how), filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	install(".new")
	shell := func(script string) (string, error) {
		c := exec.Command("sh", "-c", script)
		c.Env = append(w.env, "PATH="+dir+":"+os.Getenv("PATH"))
		out, err := c.CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	pid := func() string {
		t.Helper()
		out, err := shell(`cspctl status -o json | sed -n 's/^ *"pid": *\([0-9]*\).*/\1/p'`)
		if err != nil || out == "" {
			t.Fatalf("the agent's pid: %v: %s", err, out)
		}
		return out
	}
	t.Cleanup(func() {
		_, _ = shell("kill -9 $(cspctl status -o json | sed -n 's/^ *\"pid\": *\\([0-9]*\\).*/\\1/p')")
	})
	serve := func(when string) {
		t.Helper()
		if out, err := shell("cspctl token prod && cspctl token prod --fresh"); err != nil {
			t.Errorf("%s: %v: %s", when, err, out)
		}
	}
	exe := func() string {
		t.Helper()
		path, err := os.Readlink("/proc/" + pid() + "/exe")
		if err != nil {
			t.Fatal(err)
		}
		return path
	}

	serve("installed")
	first := pid()
	install(".newer")
	serve("replaced")
	if now := pid(); now != first || exe() != filepath.Join(dir, "csp-agent")+" (deleted)" {
		t.Errorf("after the replacement pid %s answers, not %s, as %s", now, first, exe())
	}
	if out, err := shell("kill -9 " + first); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	serve("replaced and killed")
	if pid() == first || exe() != filepath.Join(dir, "csp-agent") {
		t.Errorf("it is %s that runs", exe())
	}

	// In the middle of an upgrade there is none for a moment.
	w.mustRemove(t, filepath.Join(dir, "csp-agent"))
	serve("deleted")
	if out, err := shell("kill -9 " + pid() + "; PATH=/nonexistent " + filepath.Join(dir, "cspctl") + " token prod"); err == nil || !strings.Contains(out, "no csp-agent was found to start") {
		t.Errorf("deleted and killed: %v: %s", err, out)
	}
	install(".newest")
	serve("back again")
}
