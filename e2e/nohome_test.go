//go:build unix

package e2e_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Without a home the agent says so, rather than to write below /.
func TestNoHome(t *testing.T) {
	t.Parallel()
	w := worldFor(t)
	agent := func(env ...string) *exec.Cmd {
		c := exec.Command(filepath.Join(bin, "csp-agent"), "run")
		c.Env, c.Dir, c.WaitDelay = append(w.env, env...), w.dir, time.Second
		return c
	}
	for want, env := range map[string][]string{
		"neither HOME nor XDG_CONFIG_HOME": {"HOME="},
		"neither HOME nor XDG_STATE_HOME":  {"HOME=", "XDG_CONFIG_HOME=" + w.dir},
		"neither HOME nor XDG_DATA_HOME":   {"HOME=home", "XDG_CONFIG_HOME=" + w.dir, "XDG_STATE_HOME=" + w.dir},
		"CSP_AGENT_CONFIG must be":         {"CSP_AGENT_CONFIG=config.toml"},
	} {
		c := agent(env...)
		stop := time.AfterFunc(10*time.Second, func() { _ = c.Process.Kill() })
		out, err := c.CombinedOutput()
		stop.Stop()
		if err == nil || c.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), want) {
			t.Errorf("%v: %v: %s", env, err, out)
		}
	}
	// With all the folders named, HOME is not needed.
	env := append(w.env, "HOME=", "XDG_CONFIG_HOME="+w.dir, "XDG_STATE_HOME="+w.dir, "XDG_DATA_HOME="+w.dir)
	if err := w.startAgent(env); err != nil {
		t.Error(err)
	}
}
