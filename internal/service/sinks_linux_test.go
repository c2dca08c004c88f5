package service

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestFoldersOfSinksAreOpenedInTheSandbox(t *testing.T) {
	m := &Manager{Options: Options{Scope: System, Writable: []string{"/srv/build tokens", `/srv/50%"`}}}
	m.dir = t.TempDir()
	if err := m.writeSinks(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(m.sinks())
	text := string(b)
	if err != nil || !strings.HasPrefix(text, marker) || !strings.Contains(text, "\n[Service]\nReadWritePaths=\"-/srv/build tokens\"\nReadWritePaths=\"-/srv/50%%\\\"\"\n") {
		t.Errorf("%v: %s", err, text)
	}
	if err := m.clear(); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(m.dir, "*")); len(left) > 0 {
		t.Errorf("uninstall leaves %v", left)
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("needs systemd-analyze (Debian package systemd)")
	}
	unit := filepath.Join(t.TempDir(), "x.service")
	if err := os.WriteFile(unit, []byte(text+"ExecStart=/bin/true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", unit).CombinedOutput(); err != nil || strings.Contains(string(out), "ReadWritePaths") {
		t.Errorf("%v: %s", err, out)
	}
}
