//go:build linux || darwin

package ipc_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/cspctl/cspctl/internal/ipc"
)

// Where the agent's socket unit is installed and the user's manager runs, that
// one is asked; if it fails, or there is none, the agent is started directly.
func TestSocketUnit(t *testing.T) {
	const works, fails = `csp-agent run by-unit </dev/null >/dev/null 2>&1 &`, `exit 1`
	for name, c := range map[string]struct {
		unit, manager bool
		systemctl     string
		asked, byUnit bool
	}{
		"installed":             {true, true, works, true, true},
		"installed, but broken": {true, true, fails, true, false},
		"hanging":               {true, true, `exec sleep 30`, true, false},
		"no manager":            {true, false, works, false, false},
		"not installed":         {false, true, works, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := setStage(t, "agent")
			units := filepath.Join(s.dir, ".config", "systemd", "user")
			private := filepath.Join(s.dir, "run", "systemd", "private")
			if err := errors.Join(os.MkdirAll(units, 0o700), os.MkdirAll(filepath.Dir(private), 0o700)); err != nil {
				t.Fatal(err)
			}
			script := "#!/bin/sh\necho \"$@ $XDG_RUNTIME_DIR\" >" + s.dir + "/asked\n" + c.systemctl + "\n"
			if err := os.WriteFile(filepath.Join(s.dir, "bin", "systemctl"), []byte(script), 0o700); err != nil {
				t.Fatal(err)
			}
			if c.unit {
				if err := os.WriteFile(filepath.Join(units, "csp-agent.socket"), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if c.manager {
				raw(t, private, func(net.Conn) {})
			}
			if got, err := ipc.Open(ipc.Options{}).Token(ipc.TokenRequest{}); err != nil || got.Token.Reveal() != fakeToken {
				t.Errorf("got %v", err)
			}
			want := ""
			if c.asked {
				want = "--user start csp-agent.socket csp-agent.service " + filepath.Join(s.dir, "run") + "\n"
			}
			if asked, err := os.ReadFile(filepath.Join(s.dir, "asked")); string(asked) != want {
				t.Errorf("systemctl was asked %q, %v", asked, err)
			}
			pids := s.starts(t)
			if len(pids) != 1 {
				t.Fatalf("%d agents were started", len(pids))
			}
			args, err := os.ReadFile(filepath.Join(s.dir, "start."+strconv.Itoa(pids[0])))
			if byUnit := strings.Contains(string(args), "by-unit"); err != nil || byUnit != c.byUnit {
				t.Errorf("the agent's arguments are %q, %v", args, err)
			}
		})
	}
}
