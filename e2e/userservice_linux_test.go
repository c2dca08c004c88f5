package e2e_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A user's own installation: the binaries in a folder, `csp-agent install`, and
// a keyring that is unlocked at login.
func TestUserService(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "prod", "lab")
	m.putShipped(t, "/usr/local/bin")
	u := m.User(t, "ann")
	unlockKeyring(t, u)
	m.Exec(t, "install", "-o", "ann", "-m", "600", "/root/prod.token", "/root/lab.token", u.Home)

	if code, said := exit(t, u, "csp-agent", "status"); code != 4 {
		t.Errorf("status before: exit %d\n%s", code, said)
	}
	// cspctl started an agent by itself, which has a secret in its memory.
	u.Exec(t, "cspctl", "login", "lab", "--server", m.url, "--token-file", "lab.token", "--store", "memory")
	if code, said := exit(t, u, "csp-agent", "install"); code != 0 || !strings.Contains(said, "the secrets of lab") {
		t.Fatalf("install: exit %d\n%s", code, said)
	}
	u.Exec(t, "cspctl", "login", "prod", "--server", m.url, "--token-file", "prod.token", "--store", "keychain", "--default")
	mustToken(t, u)
	if got := u.Exec(t, "systemctl", "--user", "status", "--no-pager", "csp-agent.service"); !strings.Contains(got, "sandbox.conf") || !strings.Contains(got, "Serving") {
		t.Errorf("the service:\n%s", got)
	}

	with := exposure(t, u.Exec(t, "systemd-analyze", "--user", "--no-pager", "security", "csp-agent.service"))
	t.Logf("systemd-analyze security, user unit with its drop-in: %.1f", with)
	if with >= 2 {
		t.Errorf("exposed to %.1f", with)
	}

	t.Run("P8 what happens in a day", func(t *testing.T) {
		for _, what := range []struct {
			name string
			do   func()
		}{
			{"kill -9", func() { m.Exec(t, "kill", "-9", fmt.Sprint(mainPID(t, u))) }},
			{"its runtime directory is deleted", func() { u.Exec(t, "rm", "-r", u.RuntimeDir()+"/csp-agent") }},
			{"deleted while it does not run", func() {
				u.Exec(t, "systemctl", "--user", "stop", "csp-agent.service")
				u.Exec(t, "rm", "-rf", u.RuntimeDir()+"/csp-agent")
			}},
			{"its binary is replaced", func() { m.putShipped(t, "/usr/local/bin") }},
			{"and it is restarted", func() { u.Exec(t, "csp-agent", "restart") }},
			{"D-Bus is restarted", func() {
				u.Exec(t, "systemctl", "--user", "restart", "dbus.service")
				unlockKeyring(t, u)
			}},
			{"it was stopped", func() { u.Exec(t, "csp-agent", "stop") }},
			{"its unit is cut off, and it is installed again", func() {
				m.Put(t, u.Home+"/.config/systemd/user/csp-agent.service", nil, 0o644)
				u.Exec(t, "csp-agent", "install")
			}},
		} {
			what.do()
			mustToken(t, u, "--fresh")
			if code, said := exit(t, u, "csp-agent", "status"); code != 0 {
				t.Errorf("%s: status: exit %d\n%s", what.name, code, said)
			}
		}
	})

	t.Run("P8 stopped by SIGSTOP, replaced by the watchdog", func(t *testing.T) {
		before := mainPID(t, u)
		m.Exec(t, "kill", "-STOP", fmt.Sprint(before))
		if err := within(50*time.Second, func() error {
			if pid := mainPID(t, u); pid == before || pid == 0 {
				return fmt.Errorf("process %d is the service's", pid)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		mustToken(t, u)
	})

	t.Run("T30 restarts and installations under load", func(t *testing.T) {
		underLoad(t, u, func() {
			for range 3 {
				u.Exec(t, "csp-agent", "restart")
				u.Exec(t, "csp-agent", "install")
			}
		})
	})

	t.Run("after a reboot", func(t *testing.T) {
		m.reboot(t, u)
		// It was started at login, to warn in time, though nobody asked yet.
		if err := within(10*time.Second, func() error {
			if mainPID(t, u) == 0 {
				return fmt.Errorf("it does not run")
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
		mustToken(t, u)
	})

	t.Run("what is not its own stays", func(t *testing.T) {
		unit := u.Home + "/.config/systemd/user/csp-agent.service"
		u.Exec(t, "csp-agent", "uninstall")
		u.Exec(t, "mkdir", "-p", u.Home+"/.config/systemd/user")
		u.Exec(t, "sh", "-c", "echo '# mine' >"+unit)
		if code, said := exit(t, u, "csp-agent", "install"); code != 1 || !strings.Contains(said, "not of csp-agent's making") {
			t.Errorf("over somebody's unit: exit %d\n%s", code, said)
		}
		u.Exec(t, "ln", "-sf", "/dev/null", unit)
		if code, said := exit(t, u, "csp-agent", "install"); code != 1 || !strings.Contains(said, "systemctl --user unmask csp-agent.service") {
			t.Errorf("masked: exit %d\n%s", code, said)
		}
		u.Exec(t, "rm", unit)
		u.Exec(t, "csp-agent", "install")
	})

	// The kernel says of its socket that systemd listens.
	t.Run("a service that fails takes nobody along", func(t *testing.T) {
		manager := m.Exec(t, "systemctl", "show", "-p", "MainPID", "--value", fmt.Sprintf("user@%d.service", u.UID))
		broken := u.Home + "/.config/systemd/user/csp-agent.service.d/broken.conf"
		m.Put(t, broken, []byte("[Service]\nExecStart=\nExecStart=/bin/false\n"), 0o644)
		u.Exec(t, "systemctl", "--user", "daemon-reload")
		for _, verb := range []string{"restart", "install"} {
			if code, said := exit(t, u, "csp-agent", verb); code != 1 {
				t.Errorf("%s: exit %d\n%s", verb, code, said)
			}
		}
		if code, said := exit(t, u, "csp-agent", "status"); code != 1 || !strings.Contains(said, "failed") {
			t.Errorf("status: exit %d\n%s", code, said)
		}
		m.Exec(t, "rm", broken)
		u.Exec(t, "csp-agent", "install")
		mustToken(t, u)
		if now := m.Exec(t, "systemctl", "show", "-p", "MainPID", "--value", fmt.Sprintf("user@%d.service", u.UID)); now != manager {
			t.Errorf("the user's service manager is process %s, and was %s", now, manager)
		}
	})

	// Where the settings let others in, whose uids it must tell apart, or where
	// user namespaces are forbidden.
	t.Run("without user namespaces", func(t *testing.T) {
		u.Exec(t, "sh", "-c", "mkdir -p .config/cspctl && echo 'allow_root = true' >.config/cspctl/config.toml")
		if code, said := exit(t, u, "csp-agent", "install"); code != 0 || !strings.Contains(said, "without the part of its sandbox") {
			t.Errorf("install: exit %d\n%s", code, said)
		}
		mustToken(t, u)
		plain := exposure(t, u.Exec(t, "systemd-analyze", "--user", "--no-pager", "security", "csp-agent.service"))
		t.Logf("systemd-analyze security, user unit without its drop-in: %.1f", plain)
		if plain <= with {
			t.Errorf("the drop-in is there: %.1f", plain)
		}
	})

	t.Run("where user namespaces are forbidden", func(t *testing.T) {
		u.Exec(t, "rm", ".config/cspctl/config.toml")
		manager := fmt.Sprintf("user@%d.service", u.UID)
		m.Exec(t, "mkdir", "-p", "/etc/systemd/system/"+manager+".d")
		m.Put(t, "/etc/systemd/system/"+manager+".d/forbid.conf", []byte("[Service]\nRestrictNamespaces=~user\n"), 0o644)
		m.Exec(t, "systemctl", "daemon-reload")
		m.Exec(t, "systemctl", "restart", manager)
		unlockKeyring(t, u)
		// By the manager, so that it is under its rule.
		if said := u.Exec(t, "systemd-run", "--user", "--pipe", "--wait", "--quiet", "csp-agent", "install"); !strings.Contains(said, "this system forbids them") {
			t.Errorf("install: %s", said)
		}
		mustToken(t, u)
	})

	u.Exec(t, "csp-agent", "uninstall")
	u.Exec(t, "csp-agent", "uninstall") // and again
	left := u.Exec(t, "sh", "-c", "find .config/systemd $XDG_RUNTIME_DIR/csp-agent 2>/dev/null || true")
	if left != "" {
		t.Errorf("left by uninstall:\n%s", left)
	}
	if got := u.Exec(t, "systemctl", "--user", "list-units", "--all", "--plain", "--no-legend", "csp-agent*"); got != "" {
		t.Errorf("systemd still has:\n%s", got)
	}
	mustToken(t, u) // by an agent that cspctl started
}
