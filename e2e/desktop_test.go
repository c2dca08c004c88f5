//go:build unix

package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cspctl/cspctl/internal/notify/notifytest"
	"github.com/cspctl/cspctl/internal/sessionbus/bustest"
)

// The desktop of a script: a session bus on which nothing starts by itself, an
// X server and a real dunst, which writes what it shows into the file shown,
// and whose menu of actions chooses the line that has the word in the file
// choice.

const (
	dunstSettings = `[global]
  dmenu = %[1]s/choose
[all]
  summary = "*"
  script = %[1]s/show
`
	showScript = `#!/bin/sh
printf '%%s|%%s\n' "$5" "$2" >>%s/shown
`
	chooseScript = `#!/bin/sh
grep -F -f %s/choice | head -1
`
)

// desktop starts the bus and the X server; "desktop dunst" starts dunst, or
// starts it again.
func desktop(ts *testscript.TestScript, neg bool, args []string) {
	w := worldOf(ts)
	if len(args) == 0 {
		socket := filepath.Join(ts.Getenv("XDG_RUNTIME_DIR"), "bus")
		ts.Check(os.WriteFile(w.dir+"/bus.conf", bustest.Config(socket, ""), 0o600))
		w.daemon(ts, "dbus-daemon", "--config-file="+w.dir+"/bus.conf", "--nofork")
		ts.Check(within(10*time.Second, func() error { _, err := os.Stat(socket); return err }))
		ts.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path="+socket)
		return
	}
	if w.display == "" {
		var err error
		w.display, err = notifytest.Screen("800x600x24", func(x *exec.Cmd) { w.start(ts, x) })
		ts.Check(err)
		ts.Setenv("DISPLAY", w.display)
		for name, text := range map[string]string{"show": showScript, "choose": chooseScript} {
			ts.Check(os.WriteFile(filepath.Join(w.dir, name), fmt.Appendf(nil, text, w.dir), 0o700))
		}
		ts.Check(os.WriteFile(w.dir+"/dunstrc", fmt.Appendf(nil, dunstSettings, w.dir), 0o600))
	}
	if w.dunst != nil {
		_ = w.dunst.Process.Kill()
		_ = w.dunst.Wait()
	}
	w.dunst = w.daemon(ts, "dunst", "-conf", w.dir+"/dunstrc")
	ts.Check(within(10*time.Second, func() error {
		c := exec.Command("dunstctl", "count")
		c.Env = w.sessionEnv(ts)
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("dunst: %w: %s", err, out)
		}
		return nil
	}))
}

func (w *world) sessionEnv(ts *testscript.TestScript) []string {
	return append(append([]string{}, w.env...), "DBUS_SESSION_BUS_ADDRESS="+ts.Getenv("DBUS_SESSION_BUS_ADDRESS"), "DISPLAY="+w.display)
}

// daemon starts a program of the desktop, which ends with the script.
func (w *world) daemon(ts *testscript.TestScript, program string, args ...string) *exec.Cmd {
	c := exec.Command(program, args...)
	w.start(ts, c)
	return c
}

func (w *world) start(ts *testscript.TestScript, c *exec.Cmd) {
	log, err := os.Create(filepath.Join(w.dir, filepath.Base(c.Path)+".log"))
	ts.Check(err)
	defer log.Close()
	c.Env, c.Stdout, c.Stderr = w.sessionEnv(ts), log, log
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	ts.Check(c.Start())
	w.extra = append(w.extra, func() { _ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL); _ = c.Wait() })
}

// shown N waits until dunst has shown N notifications in all, and checks that
// it shows one now.
func shown(ts *testscript.TestScript, neg bool, args []string) {
	w := worldOf(ts)
	ts.Check(within(40*time.Second, func() error {
		b, _ := os.ReadFile(w.dir + "/shown")
		switch n := strings.Count(string(b), "\n"); {
		case fmt.Sprint(n) == args[0]:
			return nil
		default:
			return fmt.Errorf("%d were shown:\n%s", n, b)
		}
	}))
}
