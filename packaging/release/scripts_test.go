//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// scriptRun runs a script of the packages with commands that only say how they
// were called, on a machine with two users' managers, and returns what they
// said, sorted by nothing but time.
func scriptRun(t *testing.T, script string, setup map[string]string, systemd bool, args ...string) string {
	t.Helper()
	dir := t.TempDir()
	said := filepath.Join(dir, "said")
	commands := map[string]string{
		"systemctl": `case "$*" in
			*list-units*) echo "user@1000.service loaded active running User Manager"; echo "user@1001.service loaded active running User Manager"; exit ;;
			esac`,
		"deb-systemd-helper": `case "$*" in *debian-installed*) exit 1 ;; esac`,
		"systemd-sysusers":   "",
		"timeout":            `shift; "$@"; exit`, // and says nothing
	}
	for name, text := range setup {
		commands[name] = text
	}
	for name, text := range commands {
		if text == "none" {
			continue
		}
		record := `printf '%s\n' "` + name + ` $*" >>` + said + "\n"
		if name == "timeout" {
			record = ""
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+record+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"cut", "rm"} { // the real ones
		exe, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(exe, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile("packaging/scripts/" + script + ".sh")
	if err != nil {
		t.Fatal(err)
	}
	run := filepath.Join(dir, "run")
	if systemd {
		if err := os.Mkdir(run, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	text := strings.NewReplacer("/run/systemd/system", run,
		"/etc/csp-agent", dir+"/etc", "/var/lib/csp-agent", dir+"/var").Replace(string(b))
	for _, name := range []string{"etc", "var"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.CommandContext(t.Context(), "/bin/sh", append([]string{"-c", text, script}, args...)...)
	c.Env = []string{"PATH=" + dir}
	if out, err := c.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%s %v: %v: %s", script, args, err, out)
	}
	out, _ := os.ReadFile(said)
	for _, name := range []string{"etc", "var"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			out = append(out, "removed "+name+"\n"...)
		}
	}
	return string(out)
}

const (
	oneUser   = "systemctl --user -M 1000@.host "
	otherUser = "systemctl --user -M 1001@.host "
)

// What each script does when dpkg and rpm call it: words that it must have
// said, and words that it must not.
func TestScriptsOfThePackages(t *testing.T) {
	installed := map[string]string{"deb-systemd-helper": `case "$*" in *was-enabled*) exit 1 ;; esac`} // and disabled since
	noHelper := map[string]string{"deb-systemd-helper": "none"}
	for _, c := range []struct {
		name   string
		script string
		setup  map[string]string
		args   []string
		want   []string
		not    []string
	}{
		{"deb, at first", "postinstall", nil, []string{"configure", ""},
			[]string{"systemd-sysusers csp-agent.conf", "deb-systemd-helper --user enable csp-agent.socket", "systemctl daemon-reload",
				oneUser + "daemon-reload", oneUser + "start csp-agent.socket", otherUser + "start csp-agent.socket"},
			[]string{"restart", "--global"}},
		{"deb, after a removal", "postinstall", nil, []string{"configure", "1.0"},
			[]string{"--user enable csp-agent.socket", oneUser + "start csp-agent.socket"}, []string{"restart"}},
		{"deb, an upgrade of what an administrator disabled", "postinstall", installed, []string{"configure", "1.0"},
			[]string{"update-state csp-agent.socket", "systemctl try-restart csp-agent.service", oneUser + "daemon-reload",
				oneUser + "try-restart csp-agent.service", otherUser + "try-restart csp-agent.service"},
			[]string{"enable csp-agent", "start csp-agent.socket"}},
		{"rpm, at first", "postinstall", noHelper, []string{"1"},
			[]string{"systemctl --global enable csp-agent.socket", "systemctl --global enable csp-agent-login.service", oneUser + "start csp-agent.socket"}, []string{"restart"}},
		{"rpm, an upgrade", "postinstall", noHelper, []string{"2"},
			[]string{"systemctl try-restart csp-agent.service", otherUser + "try-restart csp-agent.service"}, []string{"enable", " start "}},
		{"disabled by the user", "postinstall", map[string]string{"systemctl": `case "$*" in
			*list-units*) echo "user@1000.service loaded active running" ;; *is-enabled*) exit 1 ;; esac`}, []string{"configure", ""},
			[]string{oneUser + "daemon-reload"}, []string{" start "}},
		{"forbidden to start anything", "postinstall", map[string]string{"policy-rc.d": "exit 101"}, []string{"configure", ""},
			[]string{"--user enable csp-agent.socket"}, []string{"systemctl daemon-reload", oneUser}},
		{"everything fails", "postinstall", map[string]string{"systemctl": "exit 1", "deb-systemd-helper": "exit 1", "systemd-sysusers": "exit 1"},
			[]string{"configure", ""}, []string{"systemd-sysusers"}, []string{"restart"}},
		{"deb, a failed removal", "postinstall", nil, []string{"abort-remove"}, nil, []string{" "}},
		{"deb, before removal", "preremove", nil, []string{"remove"},
			[]string{oneUser + "stop csp-agent.socket csp-agent.service", "deb-systemd-helper --user purge csp-agent.socket",
				"systemctl --global disable", "systemctl --system disable csp-agent.socket csp-agent-token.socket csp-agent.service"}, nil},
		{"rpm, before removal", "preremove", noHelper, []string{"0"},
			[]string{otherUser + "stop csp-agent.socket csp-agent.service", "systemctl --global disable"}, nil},
		{"deb, before an upgrade", "preremove", nil, []string{"upgrade", "2.0"}, nil, []string{" "}},
		{"rpm, before an upgrade", "preremove", nil, []string{"1"}, nil, []string{" "}},
		{"deb, after removal", "postremove", nil, []string{"remove"}, []string{"systemctl daemon-reload", oneUser + "daemon-reload"}, []string{"removed"}},
		{"rpm, after removal", "postremove", nil, []string{"0"}, []string{"systemctl daemon-reload"}, []string{"removed"}},
		{"rpm, after an upgrade", "postremove", nil, []string{"1"}, nil, []string{" "}},
		{"deb, after an upgrade", "postremove", nil, []string{"upgrade", "2.0"}, nil, []string{" "}},
		{"deb, purge", "postremove", nil, []string{"purge"}, []string{"removed etc", "removed var"}, nil},
	} {
		said := scriptRun(t, c.script, c.setup, true, c.args...)
		for _, w := range c.want {
			if !strings.Contains(said, w) {
				t.Errorf("%s: %q was not said:\n%s", c.name, w, said)
			}
		}
		for _, w := range c.not {
			if strings.Contains(said, w) {
				t.Errorf("%s: %q was said:\n%s", c.name, w, said)
			}
		}
	}
}

// In a container without systemd's manager, and without systemd at all, a
// package installs and goes.
func TestScriptsWithoutSystemd(t *testing.T) {
	nothing := map[string]string{"systemctl": "none", "deb-systemd-helper": "none", "systemd-sysusers": "none", "timeout": "none"}
	for script, args := range map[string][]string{"postinstall": {"configure", ""}, "preremove": {"remove"}, "postremove": {"remove"}} {
		if said := scriptRun(t, script, nothing, false, args...); said != "" {
			t.Errorf("%s: %s", script, said)
		}
		if said := scriptRun(t, script, nil, false, args...); strings.Contains(said, "-M") || strings.Contains(said, "start") {
			t.Errorf("%s, no manager runs: %s", script, said)
		}
	}
}

func TestShellScripts(t *testing.T) {
	exe, err := exec.LookPath("shellcheck")
	if err != nil {
		t.Skip("needs shellcheck (Debian package shellcheck)")
	}
	scripts, err := filepath.Glob("packaging/scripts/*.sh")
	if err != nil || len(scripts) != 3 {
		t.Fatal(scripts, err)
	}
	scripts = append(scripts, "packaging/reproduce.sh")
	if out, err := exec.CommandContext(t.Context(), exe, scripts...).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
