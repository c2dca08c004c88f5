package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/systemdtest"
)

// As a service of the user's, in a sandbox, the agent has the user's hook run
// outside of it: by the user's service manager, under none of its limits.
func TestP7HookOfAServiceIsNoChildOfIt(t *testing.T) {
	c := systemdtest.Boot(t)
	u := c.User(t, "jo")
	for _, name := range []string{"cspctl", "csp-agent", "csp-sim"} {
		b, err := os.ReadFile(filepath.Join(bin, name))
		if err != nil {
			t.Fatal(err)
		}
		c.Put(t, "/usr/local/bin/"+name, b, 0o755)
	}
	c.Put(t, "/usr/local/bin/hook", []byte(`#!/bin/sh
{ cat; cat /proc/self/cgroup; grep NoNewPrivs /proc/self/status; echo "umask $(umask)"; echo "files $(ulimit -n)"; } >"$HOME/new"
mv "$HOME/new" "$HOME/hooked"
`), 0o755)
	u.Exec(t, "mkdir", "-p", ".config/cspctl")
	u.Exec(t, "sh", "-c", `printf '[hook]\ncommand = ["/usr/local/bin/hook"]\n' >.config/cspctl/config.toml`)
	start := func(unit string, properties []string, command ...string) {
		argv := []string{"systemd-run", "--user", "--quiet", "--unit=" + unit}
		for _, p := range properties {
			argv = append(argv, "-p", p)
		}
		u.Exec(t, append(append(argv, "--"), command...)...)
	}
	start("sim", nil, "/usr/local/bin/csp-sim", "-ready-file", u.Home+"/sim.url", "-token-file", "prod="+u.Home+"/prod.token", "-expires-in", "prod=20h")
	start("csp-agent", []string{"NoNewPrivileges=yes", "LimitNOFILE=512", "LockPersonality=yes"}, "/usr/local/bin/csp-agent", "run")
	read := func(file string) (string, error) {
		b, err := u.Command(t.Context(), "cat", file).Output()
		if err == nil && len(b) == 0 {
			err = fmt.Errorf("%s is empty", file)
		}
		return string(b), err
	}
	waitFor := func(file string) (text string) {
		if err := within(20*time.Second, func() (err error) { text, err = read(file); return err }); err != nil {
			log, _ := u.Command(t.Context(), "journalctl", "--user", "-n", "50").CombinedOutput()
			t.Fatalf("%v\n%s", err, log)
		}
		return text
	}
	server := strings.TrimSpace(waitFor("sim.url"))
	u.Exec(t, "cspctl", "login", "prod", "--server", server, "--token-file", "prod.token", "--store", "memory")
	got := waitFor("hooked")
	for _, want := range []string{`"stage":"1d"`, `"profile":"prod"`, "NoNewPrivs:\t0\n", "umask 0022\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	for _, bad := range []string{"csp-agent.service", "files 512"} {
		if strings.Contains(got, bad) {
			t.Errorf("%q in\n%s", bad, got)
		}
	}
}
