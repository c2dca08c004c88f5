package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/doctor"
	"github.com/cspctl/cspctl/internal/systemdtest"
)

const doctorSocketUnit = `[Socket]
ListenStream=%t/csp-agent/agent.sock
SocketMode=0600
DirectoryMode=0700
[Install]
WantedBy=sockets.target
`

const doctorServiceUnit = `[Service]
ExecStart=/usr/local/bin/csp-agent run
`

// Under a real service manager: what a person meets with the agent as a
// service, and what the journal says of it.
func TestDoctorOnServices(t *testing.T) {
	c := systemdtest.Boot(t)
	// A package of this machine's would be found inside, too. What is removed
	// there stays here.
	c.Exec(t, "sh", "-c", "rm -f /etc/systemd/*/csp-agent* /usr/lib/systemd/*/csp-agent* /usr/local/lib/systemd/*/csp-agent* && systemctl daemon-reload")
	u := c.User(t, "do")
	for _, name := range []string{"cspctl", "csp-agent"} {
		b, err := os.ReadFile(filepath.Join(bin, name))
		if err != nil {
			t.Fatal(err)
		}
		c.Put(t, "/usr/local/bin/"+name, b, 0o755)
	}
	examine := func(more ...string) *doctor.Report {
		t.Helper()
		cmd := u.Command(t.Context(), append(append([]string{"env"}, more...), "cspctl", "doctor", "-o", "json")...)
		out, err := cmd.Output()
		r, bad := readReport(t.TempDir(), out)
		if bad != nil {
			t.Fatalf("%v (%v)", bad, err)
		}
		return r
	}
	unit := func(name, text string) {
		u.Exec(t, "mkdir", "-p", ".config/systemd/user")
		u.Exec(t, "sh", "-c", `printf '%s' "$1" >".config/systemd/user/$2"`, "sh", text, name)
	}
	reload := func() { u.Exec(t, "systemctl", "--user", "daemon-reload") }
	ctl := func(args ...string) { // it may fail: that is what is looked at
		_ = u.Command(t.Context(), append([]string{"systemctl", "--user"}, args...)...).Run()
	}

	want(t, examine(), "service", "info", "nothing is installed")
	want(t, examine(), "linger", "ok", "user do lingers")
	want(t, examine("XDG_RUNTIME_DIR="), "service", "info", "nothing is installed") // as under cron

	// Installed and started.
	unit("csp-agent.socket", doctorSocketUnit)
	unit("csp-agent.service", doctorServiceUnit)
	reload()
	u.Exec(t, "systemctl", "--user", "start", "csp-agent.socket")
	u.Exec(t, "cspctl", "profile", "list")
	r := examine()
	want(t, r, "service", "ok", `csp-agent.service is active \(running\), csp-agent.socket is active \(running\)`)
	want(t, r, "service", "info", "csp-agent.socket is not enabled", "")
	want(t, r, "agent", "ok", "version dev answers")
	want(t, r, "process", "ok", "closed to other programs, and it leaves no core dump")
	if lookUp(r, "service", "warn") || lookUp(r, "service", "fail") || lookUp(r, "socket", "fail") || lookUp(r, "environment", "warn") {
		t.Errorf("a false alarm in %+v", r.Checks)
	}

	// T12: a service does not see the shell's variables.
	r = examine("HTTPS_PROXY=http://jo:hunter2@127.0.0.1:1", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt")
	want(t, r, "proxy", "warn", `HTTPS_PROXY is set in this shell \(127.0.0.1:1\), and the agent is a service`, `https_proxy = .*csp-agent restart`)
	want(t, r, "proxy", "warn", "SSL_CERT_FILE is set in this shell", "ca_file = ")
	u.Exec(t, "systemctl", "--user", "set-environment", "HTTPS_PROXY=http://127.0.0.1:1")
	if r = examine("HTTPS_PROXY=http://127.0.0.1:1"); lookUp(r, "proxy", "warn") {
		t.Errorf("the manager has the variable: %+v", r.Checks)
	}
	u.Exec(t, "systemctl", "--user", "unset-environment", "HTTPS_PROXY")

	// T26: nobody lingers here any more.
	c.Exec(t, "rm", "/var/lib/systemd/linger/do")
	want(t, examine(), "linger", "warn", "the agent ends with the last login", "^loginctl enable-linger$")
	want(t, examine("WAYLAND_DISPLAY=wayland-0"), "linger", "info", "loginctl enable-linger")
	c.Exec(t, "touch", "/var/lib/systemd/linger/do")

	// It was upgraded, and the manager has not been told.
	unit("csp-agent.service", doctorServiceUnit+"Environment=CSP_AGENT_CONFIG=relative\n")
	c.Exec(t, "touch", "-d", "1 minute", u.Home+"/.config/systemd/user/csp-agent.service") // times are compared by the second
	want(t, examine(), "service", "warn", "still has the old one", "systemctl --user daemon-reload")

	// It fails at once, and the journal says why.
	reload()
	ctl("stop", "csp-agent.socket", "csp-agent.service")
	ctl("start", "csp-agent.service")
	if err := within(20*time.Second, func() error {
		return u.Command(t.Context(), "systemctl", "--user", "is-failed", "csp-agent.service").Run()
	}); err != nil {
		t.Fatal(err)
	}
	r = examine()
	want(t, r, "service", "fail", `(?s)csp-agent.service failed \(exit-code, exit status 1\).*CSP_AGENT_CONFIG must be an absolute path`,
		"systemctl --user reset-failed csp-agent.service csp-agent.socket; csp-agent start")

	// Its program is gone.
	unit("csp-agent.service", "[Service]\nExecStart=/opt/old/csp-agent run\n")
	reload()
	ctl("reset-failed", "csp-agent.service")
	want(t, examine(), "service", "fail", "runs /opt/old/csp-agent, which is not there", "csp-agent install")
	ctl("start", "csp-agent.service")
	want(t, examine(), "service", "fail", `exit status 203\): its program can't be run`)
	ctl("reset-failed", "csp-agent.service")

	// Written by halves.
	unit("csp-agent.service", "[Service]\n")
	reload()
	want(t, examine(), "service", "fail", "can't be loaded \\(bad-setting\\): its file .*csp-agent.service is damaged", "csp-agent install, or correct it, then: systemctl --user daemon-reload")

	// Masked, and half of it missing.
	u.Exec(t, "rm", ".config/systemd/user/csp-agent.service")
	u.Exec(t, "systemctl", "--user", "mask", "csp-agent.service")
	want(t, examine(), "service", "warn", "csp-agent.service is masked", "systemctl --user unmask csp-agent.service")
	u.Exec(t, "systemctl", "--user", "unmask", "csp-agent.service")
	reload()
	want(t, examine(), "service", "fail", "csp-agent.service is missing, and its socket is installed", "csp-agent install")

	// Settings that their user can't read.
	u.Exec(t, "sh", "-c", "mkdir -p .config/cspctl && echo >.config/cspctl/config.toml && chmod 000 .config/cspctl/config.toml")
	want(t, examine(), "settings", "fail", "config.toml.*permission denied", "^chmod 600 .*config.toml, as its owner")

	// The system's service.
	root, _ := c.Command(t.Context(), "/usr/local/bin/cspctl", "doctor", "--system", "-o", "json").Output()
	system, err := readReport(t.TempDir(), root)
	if err != nil {
		t.Fatal(err)
	}
	want(t, system, "service", "fail", "no service of the system's: nothing is installed", "csp-agent install --system")
	want(t, system, "agent", "fail", "no agent of the system's runs", "csp-agent start --system")
	want(t, system, "socket", "ok", "/run/csp-agent/agent.sock")

	// A user without a manager: nothing hangs, and nothing is wrong with that.
	c.Exec(t, "useradd", "--create-home", "--shell", "/bin/sh", "lone")
	begun := time.Now()
	cmd := c.Command(t.Context(), "runuser", "-u", "lone", "--", "env", "-i", "HOME=/home/lone", "PATH=/usr/local/bin:/usr/bin:/bin", "cspctl", "doctor", "-o", "json")
	out, _ := cmd.Output()
	if r, err = readReport(t.TempDir(), out); err != nil {
		t.Fatal(err)
	}
	want(t, r, "service", "info", "no systemd of this user's runs")
	want(t, r, "environment", "info", "XDG_RUNTIME_DIR is not set")
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
	if strings.Contains(string(out), "hunter2") {
		t.Error("a password is in the report")
	}
}

// P8: a disk that is full, or read-only.
func TestDoctorOnDisks(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount a small disk")
	}
	w := worldFor(t)
	home := filepath.Join(w.dir, "home")
	mount := func(args ...string) error { return exec.Command("mount", args...).Run() }
	if err := mount("-t", "tmpfs", "-o", "size=2m,mode=700", "tmpfs", home); err != nil {
		t.Skipf("needs the right to mount a tmpfs: %v", err)
	}
	t.Cleanup(func() { _ = exec.Command("umount", "-l", home).Run() })
	const noNetwork = "HTTPS_PROXY=http://127.0.0.1:1"
	want(t, w.examined(t, noNetwork), "disk", "ok", "MiB left in "+home)
	if err := os.WriteFile(filepath.Join(home, "filler"), make([]byte, 1536<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	want(t, w.examined(t, noNetwork), "disk", "fail", "is full", "make room")
	if err := mount("-o", "remount,ro", home); err != nil {
		t.Fatal(err)
	}
	want(t, w.examined(t, noNetwork), "disk", "fail", "is read-only", "another disk")
}
