package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/cspctl/cspctl/internal/systemdtest"
)

// debianPackage builds the package of a version, and puts it into the machine.
func (m *machine) debianPackage(t *testing.T, version string) (inside string) {
	t.Helper()
	out := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "run", "./packaging/release", "-out", filepath.Join(out, "dist"), "-platforms", "linux/"+runtime.GOARCH)
	cmd.Dir, cmd.Env = "..", append(os.Environ(), "VERSION="+version, "CGO_ENABLED=0", "GOFLAGS=")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("the release: %v\n%s", err, said)
	}
	debs, err := filepath.Glob(filepath.Join(out, "dist", "*.deb"))
	if err != nil || len(debs) != 1 {
		t.Fatal(debs, err)
	}
	b, err := os.ReadFile(debs[0])
	if err != nil {
		t.Fatal(err)
	}
	inside = "/root/cspctl_" + version + ".deb"
	m.Put(t, inside, b, 0o644)
	return inside
}

// The package from its installation to its removal, for a user with a keyring,
// and docs/service.md as it stands.
func TestDebianPackage(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("dpkg"); err != nil {
		t.Skip("needs dpkg (Debian)")
	}
	m := newMachine(t, "prod", "build")
	// Images for containers forbid that packages start anything.
	m.Exec(t, "rm", "-f", "/usr/sbin/policy-rc.d")
	before := m.files(t)
	first, second := m.debianPackage(t, "v1.0.0"), m.debianPackage(t, "v1.0.1")
	u := m.User(t, "ann")
	unlockKeyring(t, u)
	m.Exec(t, "install", "-o", "ann", "-m", "600", "/root/prod.token", u.Home)

	m.Exec(t, "dpkg", "--install", first)
	if got := strings.TrimSpace(u.Exec(t, "systemctl", "--user", "is-active", "csp-agent.socket")); got != "active" {
		t.Errorf("after the installation the user's socket is %s", got)
	}
	if said := u.Exec(t, "csp-agent", "install"); !strings.Contains(said, "belong to a package") {
		t.Errorf("install with a package: %s", said)
	}
	u.Exec(t, "cspctl", "login", "prod", "--server", m.url, "--token-file", "prod.token", "--store", "keychain")
	mustToken(t, u)
	if got := u.Exec(t, "systemctl", "--user", "show", "-p", "DropInPaths", "csp-agent.service"); !strings.Contains(got, "/generator/csp-agent.service.d/sandbox.conf") {
		t.Errorf("its sandbox: %s", got)
	}
	if got := exposure(t, u.Exec(t, "systemd-analyze", "--user", "--no-pager", "security", "csp-agent.service")); got >= 2 {
		t.Errorf("exposed to %.1f", got)
	}
	if got := u.Exec(t, "sh", "-c", "find .config/systemd 2>/dev/null || true"); got != "" {
		t.Errorf("in the user's home:\n%s", got)
	}

	t.Run("after a reboot", func(t *testing.T) {
		m.reboot(t, u)
		mustToken(t, u)
	})

	t.Run("T30 upgraded under load", func(t *testing.T) {
		underLoad(t, u, func() { m.Exec(t, "dpkg", "--install", second) })
		if got := u.Exec(t, "cspctl", "status"); !strings.Contains(got, "version v1.0.1") {
			t.Errorf("after the upgrade:\n%s", got)
		}
		// An older cspctl works with the newer agent, and says so.
		m.Exec(t, "dpkg-deb", "--extract", first, "/opt/old")
		if code, said := exit(t, u, "/opt/old/usr/bin/cspctl", "token"); code != 0 || !strings.Contains(said, "the agent is version v1.0.1, this cspctl is v1.0.0") {
			t.Errorf("an older cspctl: exit %d\n%s", code, said)
		}
	})

	t.Run("docs/service.md", func(t *testing.T) { m.serviceDoc(t) })

	m.Exec(t, "csp-agent", "uninstall", "--system")
	m.Exec(t, "dpkg", "--purge", "cspctl")
	if code, said := exit(t, u, "systemctl", "--user", "is-active", "csp-agent.service"); code == 0 {
		t.Errorf("the agent outlives its package: %s", said)
	}
	var left []string
	for file := range m.files(t) {
		if !before[file] {
			left = append(left, file)
		}
	}
	if len(left) > 0 {
		t.Errorf("left by the package:\n%s", strings.Join(left, "\n"))
	}
}

// files are those where packages put theirs.
func (m *machine) files(t *testing.T) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for file := range strings.Lines(m.Exec(t, "find", "/etc", "/usr", "/var/lib", "/run/systemd", "/run/user", "-name", "*csp*")) {
		if file = strings.TrimSpace(file); !strings.HasPrefix(file, "/var/lib/dpkg/") {
			all[file] = true
		}
	}
	return all
}

// serviceDoc runs the commands of docs/service.md as root and as a user who has
// no profiles, with its settings.
func (m *machine) serviceDoc(t *testing.T) {
	t.Helper()
	b, err := os.ReadFile("../docs/service.md")
	if err != nil {
		t.Fatal(err)
	}
	jo := m.User(t, "jo")
	m.Exec(t, "groupadd", "--gid", "1200", "builders")
	m.Exec(t, "useradd", "--create-home", "--groups", "builders", "jenkins")
	m.Exec(t, "usermod", "--append", "--groups", "builders,cspctl", "jo") // as the document does for jenkins
	m.Put(t, "/root/build.token", m.tokenOf(t, "build"), 0o600)
	ran := 0
	for _, block := range regexp.MustCompile("(?s)```(sh root|sh user|toml)\n(.*?)```").FindAllStringSubmatch(string(b), -1) {
		kind, text := block[1], block[2]
		ran++
		switch kind {
		case "toml":
			m.Put(t, "/etc/csp-agent/config.toml", []byte(text), 0o644)
		case "sh root":
			// The login is at the server that plays the real one.
			text = strings.ReplaceAll(text, "cspctl login build ", "cspctl login build --server "+m.url+" ")
			m.Exec(t, "sh", "-ec", "cd /root\n"+text)
		case "sh user":
			m.userDoc(t, jo, text)
		}
	}
	if ran < 7 {
		t.Errorf("%d blocks", ran)
	}
}

func (m *machine) userDoc(t *testing.T, u *systemdtest.User, text string) {
	t.Helper()
	said := u.Exec(t, "sh", "-ec", text)
	if strings.Contains(text, "cspctl token build") && !isToken(said) {
		t.Errorf("%s printed %q", text, said)
	}
}

func (m *machine) tokenOf(t *testing.T, account string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(m.dir, account+".token"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
