//go:build unix

package e2e_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// stranger is a user that is not root: root gets by all modes.
const stranger = 65533

// strangerWorld is a home and a runtime folder of the stranger's, which may be
// missing, as in cron.
func strangerWorld(t *testing.T, withRun bool) (home, run string, shell func(script string) (string, error)) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to be another user")
	}
	dir, err := os.MkdirTemp("", "u")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	home, run = filepath.Join(dir, "home"), filepath.Join(dir, "run")
	env := []string{"HOME=" + home, "XDG_RUNTIME_DIR=" + run, "PATH=" + bin + ":" + os.Getenv("PATH"), "GORACE=halt_on_error=1"}
	folders := []string{home}
	if withRun {
		folders = append(folders, run)
	}
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chmod(bin, 0o755)); err != nil {
		t.Fatal(err)
	}
	for _, f := range folders {
		if err := errors.Join(os.Mkdir(f, 0o700), os.Chown(f, stranger, stranger)); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { killAgents(run) })
	return home, run, func(script string) (string, error) {
		c := exec.Command("sh", "-c", script)
		c.Env, c.Dir = env, "/"
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: stranger, Gid: stranger}}
		out, err := c.CombinedOutput()
		return string(out), err
	}
}

// Whatever umask the first cspctl is started with, it and all after it reach
// their agent.
func TestP8AnyUmask(t *testing.T) {
	for _, umask := range []string{"0177", "0777", "0277"} {
		for _, withRun := range []bool{true, false} {
			home, run, shell := strangerWorld(t, withRun)
			for range 2 {
				if out, err := shell("umask " + umask + "; cspctl profile list"); err != nil {
					t.Errorf("umask %s: %v: %s", umask, err, out)
				}
			}
			if out, err := shell("cspctl profile list"); err != nil {
				t.Errorf("after umask %s: %v: %s", umask, err, out)
			}
			folders := []string{filepath.Join(run, "csp-agent")}
			if !withRun {
				folders = []string{filepath.Join(home, ".cache"), filepath.Join(home, ".cache", "csp-agent")}
			}
			for _, f := range folders {
				if info, err := os.Stat(f); err != nil || info.Mode().Perm() != 0o700 {
					t.Errorf("umask %s: %v, %v", umask, info, err)
				}
			}
		}
	}
}

// A folder that shuts its owner out is opened if it is the agent's, and named
// if it is not.
func TestP8FolderClosedToItsOwner(t *testing.T) {
	_, _, shell := strangerWorld(t, true)
	if out, err := shell("mkdir -m 0600 $XDG_RUNTIME_DIR/csp-agent && cspctl profile list && cspctl profile list"); err != nil {
		t.Errorf("the agent's own: %v: %s", err, out)
	}
	home, _, shell := strangerWorld(t, false)
	out, err := shell("mkdir -m 0600 $HOME/.cache && cspctl profile list")
	if err == nil || !strings.Contains(out, "chmod 700 "+filepath.Join(home, ".cache")) {
		t.Errorf("somebody's: %v: %s", err, out)
	}
	if out, err := shell("chmod 700 $HOME/.cache && cspctl profile list"); err != nil {
		t.Errorf("repaired: %v: %s", err, out)
	}
}
