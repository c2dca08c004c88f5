package e2e_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// The service of a machine, as docs/service.md has it: its own user, its
// store's key sealed, and two users of which one is in the group.
func TestSystemService(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "build", "other")
	m.putShipped(t, "/usr/local/bin")
	in, out := m.User(t, "jenkins"), m.User(t, "guest")
	m.Exec(t, "groupadd", "--gid", "7001", "builders")
	m.Exec(t, "usermod", "--append", "--groups", "builders", "jenkins")

	m.Exec(t, "csp-agent", "install", "--system")
	m.Exec(t, "usermod", "--append", "--groups", "cspctl", "jenkins")
	if got := m.Exec(t, "stat", "-c", "%U:%G %a", "/run/csp-agent/agent.sock", "/run/csp-agent/token.sock", "/run/csp-agent", "/var/lib/csp-agent", "/etc/csp-agent/store-key.cred"); got !=
		"csp-agent:csp-agent 600\ncsp-agent:cspctl 660\nroot:root 755\ncsp-agent:csp-agent 700\nroot:root 600\n" {
		t.Errorf("owners and modes:\n%s", got)
	}
	const owner = "CSP_AGENT_SOCK=/run/csp-agent/agent.sock"
	for _, profile := range []string{"build", "other"} {
		m.Exec(t, "env", owner, "cspctl", "login", profile, "--server", m.url, "--token-file", "/root/"+profile+".token")
	}
	m.Put(t, "/etc/csp-agent/config.toml", []byte("[profiles.build]\ngids = [7001]\n"), 0o644)
	m.Exec(t, "systemctl", "reload", "csp-agent.service")

	check := func(t *testing.T) {
		t.Helper()
		mustToken(t, in, "build")
		if code, said := exit(t, in, "cspctl", "token", "other"); code != 3 || strings.Contains(said, "eyJ") {
			t.Errorf("a profile that does not list the user: exit %d\n%s", code, said)
		}
		// Who is not in the group has an agent of their own, without a profile.
		if code, said := exit(t, out, "cspctl", "token", "build"); code != 3 {
			t.Errorf("a user outside of the group: exit %d\n%s", code, said)
		}
		if code, said := exit(t, out, "env", "CSP_AGENT_SOCK=/run/csp-agent/token.sock", "cspctl", "token", "build"); code != 6 || !strings.Contains(said, "no permission") {
			t.Errorf("at the socket itself: exit %d\n%s", code, said)
		}
		if code, _ := exit(t, in, "env", owner, "cspctl", "status"); code != 6 {
			t.Errorf("the owner's socket for somebody else: exit %d", code)
		}
	}
	check(t)

	figure := exposure(t, m.Exec(t, "systemd-analyze", "--no-pager", "security", "csp-agent.service"))
	t.Logf("systemd-analyze security, system unit: %.1f", figure)
	if figure >= 2 {
		t.Errorf("exposed to %.1f", figure)
	}

	for _, l := range []string{m.Exec(t, "journalctl", "--unit=csp-agent", "--no-pager", "--output=cat"), m.Exec(t, "cat", "/var/lib/csp-agent/audit.jsonl")} {
		if !strings.Contains(l, fmt.Sprint(in.UID)) || !strings.Contains(l, "cspctl") || strings.Contains(l, "eyJ") {
			t.Errorf("on record:\n%s", l)
		}
	}

	t.Run("P8 after a reboot, with no step at all", func(t *testing.T) {
		m.Reboot(t)
		m.reach()
		m.Exec(t, "systemctl", "start", "csp-agent.socket", "csp-agent-token.socket") // the target of this boot is not the usual one
		in.Wake(t)
		out.Wake(t)
		check(t)
	})
	t.Run("T30 installed again under load", func(t *testing.T) {
		m.Put(t, "/etc/csp-agent/config.toml", []byte("[profiles.build]\ngids = [7001]\n[profiles.prod]\ngids = [7001]\n"), 0o644)
		m.Exec(t, "env", owner, "cspctl", "profile", "rename", "build", "prod")
		m.Exec(t, "systemctl", "reload", "csp-agent.service")
		underLoad(t, in, func() {
			m.putShipped(t, "/usr/local/bin")
			m.Exec(t, "csp-agent", "install", "--system")
			m.Exec(t, "csp-agent", "restart", "--system")
		})
	})
	t.Run("P8 its runtime directory is deleted", func(t *testing.T) {
		m.Exec(t, "rm", "-r", "/run/csp-agent")
		if err := within(40*time.Second, func() error { return m.Command(t.Context(), "test", "-S", "/run/csp-agent/token.sock").Run() }); err != nil {
			t.Fatal(err)
		}
		mustToken(t, in, "prod")
	})

	said := m.Exec(t, "csp-agent", "uninstall", "--system")
	if !strings.Contains(said, "/etc/csp-agent") || !strings.Contains(said, "/var/lib/csp-agent") {
		t.Errorf("uninstall does not say what is left:\n%s", said)
	}
	if left := m.Exec(t, "sh", "-c", "find /etc/systemd /run/csp-agent /run/systemd -name 'csp-agent*' 2>/dev/null || true"); left != "" {
		t.Errorf("left:\n%s", left)
	}
}
