package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/systemdtest"
)

const serviceUnit = `[Service]
ExecStart=/usr/local/bin/csp-agent run --system
ExecReload=/bin/kill -HUP $MAINPID
User=csp-agent
StateDirectory=csp-agent
StateDirectoryMode=0700
LoadCredential=cspctl-store-key:/etc/csp-agent/store.key
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
Sockets=csp-agent.socket csp-agent-token.socket
`

const ownersUnit = `[Socket]
ListenStream=/run/csp-agent/agent.sock
SocketMode=0600
FileDescriptorName=owner
`

const tokenUnit = `[Socket]
ListenStream=/run/csp-agent/token.sock
SocketMode=0660
SocketGroup=cspctl
FileDescriptorName=token
Service=csp-agent.service
`

const tidyHost = `cd /
systemctl stop csp-agent.socket csp-agent-token.socket csp-agent.service shared-sim.service
rm -rf /etc/systemd/system/csp-agent* /etc/csp-agent /var/lib/csp-agent /run/csp-agent /run/sim.url /run/ci.token
for user in ann ben cal csp-agent; do userdel $user; done
groupdel cspctl
systemctl daemon-reload`

// On a shared host, by a real systemd: who is in the group and listed has a token
// with no word about where from, also after a restart that nobody unlocks.
func TestP8SharedHost(t *testing.T) {
	c := systemdtest.Boot(t)
	for _, name := range []string{"cspctl", "csp-agent", "csp-sim"} {
		b, err := os.ReadFile(filepath.Join(bin, name))
		if err != nil {
			t.Fatal(err)
		}
		c.Put(t, "/usr/local/bin/new", b, 0o755)
		c.Exec(t, "mv", "/usr/local/bin/new", "/usr/local/bin/"+name) // another test's may run
	}
	t.Cleanup(func() { // the container is other tests', too
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if out, err := c.Command(ctx, "/bin/sh", "-c", tidyHost).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	c.Exec(t, "groupadd", "--system", "cspctl")
	c.Exec(t, "useradd", "--system", "--no-create-home", "csp-agent")
	for name, group := range map[string]string{"ann": "cspctl", "ben": "cspctl", "cal": ""} {
		c.Exec(t, "useradd", "--create-home", name)
		if group != "" {
			c.Exec(t, "usermod", "-aG", group, name)
		}
	}
	key, err := os.ReadFile(storeKey(t, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	ann := strings.TrimSpace(c.Exec(t, "id", "-u", "ann"))
	c.Exec(t, "mkdir", "-p", "/etc/csp-agent")
	c.Put(t, "/etc/csp-agent/store.key", key, 0o600)
	c.Put(t, "/etc/csp-agent/config.toml", []byte("[profiles.ci]\nuids = ["+ann+"]\n"), 0o644)
	c.Put(t, "/etc/systemd/system/csp-agent.service", []byte(serviceUnit), 0o644)
	c.Put(t, "/etc/systemd/system/csp-agent.socket", []byte(ownersUnit), 0o644)
	c.Put(t, "/etc/systemd/system/csp-agent-token.socket", []byte(tokenUnit), 0o644)
	c.Exec(t, "systemctl", "daemon-reload")
	c.Exec(t, "systemctl", "start", "csp-agent.socket", "csp-agent-token.socket")
	c.Exec(t, "systemd-run", "--quiet", "--unit=shared-sim", "/usr/local/bin/csp-sim", "-ready-file", "/run/sim.url", "-token-file", "ci=/run/ci.token")
	var server string
	if err := within(20*time.Second, func() error {
		b, err := os.ReadFile(c.Path("/run/sim.url"))
		if server = strings.TrimSpace(string(b)); err == nil && server == "" {
			err = errors.New("no URL")
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	const owner = "CSP_AGENT_SOCK=/run/csp-agent/agent.sock"
	c.Exec(t, "env", owner, "/usr/local/bin/cspctl", "login", "ci", "--server", server, "--token-file", "/run/ci.token")

	as := func(user string, args ...string) (stdout, stderr string, code int) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		cmd := c.Command(ctx, append([]string{"runuser", "-u", user, "--", "env", "-i", "-C", "/home/" + user, "CSPCTL_AUTOSTART=0",
			"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/home/" + user, "LANG=C.UTF-8"}, args...)...)
		var out, bad strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &bad
		if err := cmd.Run(); err != nil {
			if _, ok := errors.AsType[*exec.ExitError](err); !ok {
				t.Fatal(err)
			}
		}
		return out.String(), bad.String(), cmd.ProcessState.ExitCode()
	}
	for _, round := range []string{"at first", "after a restart"} {
		for _, x := range []struct {
			user string
			args []string
			code int
			want string
		}{
			{"ann", []string{"cspctl", "token"}, 0, "eyJ"},
			{"ann", []string{"cspctl", "token", "ci", "-o", "header"}, 0, "csp-auth-token: eyJ"},
			{"ann", []string{"cspctl", "socket"}, 0, "/run/csp-agent/token.sock\n"},
			{"ann", []string{"cspctl", "status"}, 6, "this socket gives tokens and nothing else"},
			{"ben", []string{"cspctl", "token", "ci"}, 3, "does not exist or is not for this user"},
			{"cal", []string{"cspctl", "token", "ci"}, 6, "no agent answers at /home/cal/.cache/csp-agent/"}, // an agent of their own
			// A login is for one's own agent, and is not sent to the system's.
			{"ann", []string{"cspctl", "login", "ci", "--token-file", "/dev/null"}, 6, "no agent answers at /home/ann/.cache/csp-agent/"},
			{"ann", []string{"cspctl", "logout", "--all"}, 6, "no agent answers at /home/ann/.cache/csp-agent/"},
			{"ann", []string{"cspctl", "logout", "ci"}, 6, "no agent answers at /home/ann/.cache/csp-agent/"},
		} {
			out, bad, code := as(x.user, x.args...)
			if code != x.code || !strings.Contains(out+bad, x.want) {
				t.Errorf("%s, %s, %v: exit %d, %q, %q", round, x.user, x.args, code, out, bad)
			}
		}
		c.Exec(t, "systemctl", "restart", "csp-agent.service")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for _, args := range [][]string{{"/usr/local/bin/cspctl", "status"}, {"/usr/local/bin/cspctl", "token", "ci"}} { // root, who has not read on
		if out, err := c.Command(ctx, args...).CombinedOutput(); err == nil || !strings.Contains(string(out), owner) {
			t.Errorf("%v: %v, %s", args, err, out)
		}
	}
	if out := c.Exec(t, "env", owner, "/usr/local/bin/cspctl", "status"); !strings.Contains(out, "ci") {
		t.Errorf("root's view: %s", out)
	}
	journal := c.Exec(t, "journalctl", "-u", "csp-agent", "-o", "cat")
	audit := c.Exec(t, "cat", "/var/lib/csp-agent/audit.jsonl")
	for _, want := range []string{`"action":"token","uid":` + ann, `"program":"cspctl","program_verified":false,"role":"token"`} {
		if !strings.Contains(audit, want) {
			t.Errorf("not on record: %s\n%s", want, audit)
		}
	}
	if want := fmt.Sprintf(`msg="token served" uid=%s`, ann); !strings.Contains(journal, want) || strings.Contains(journal+audit, "eyJ") {
		t.Errorf("the journal: %s", journal)
	}
	if got := strings.TrimSpace(c.Exec(t, "stat", "-c", "%U %a", "/var/lib/csp-agent/store.age", "/run/csp-agent", "/run/csp-agent/agent.sock")); got != "csp-agent 600\nroot 755\nroot 600" {
		t.Errorf("owners and modes: %s", got)
	}
}
