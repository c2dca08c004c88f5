package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/cspctl/cspctl/internal/ipc"
)

// Programs of other users read the file at any moment: it is whole, theirs to
// read, and what it was where nothing can be told.
func TestT33ExpiryToAFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "csp.prom")
	good := reports(t, expires("a", 90*day))
	r := shell{agent: good}.run(t, "expiry", "-o", "prometheus", "--to", path)
	r.want(t, 0)
	b, err := os.ReadFile(path)
	if printed := (shell{agent: good}).run(t, "expiry", "-o", "prometheus").stdout; err != nil || string(b) != printed || r.stdout != "" {
		t.Errorf("%v: the file has %q, stdout %q", err, b, r.stdout)
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o644 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	refusing := newAgent(t)
	refusing.refuse("GET /v1/expiry", ipc.CodeState, "the state file can't be used", "repair it")
	for _, c := range []struct {
		name  string
		agent *fakeAgent
		args  []string
		want  string
	}{
		{"no agent", nil, []string{"-o", "prometheus", "--to", path}, "cspctl: error: "},
		{"an agent that can't tell", refusing, []string{"-o", "prometheus", "--to", path}, "the state file can't be used"},
		{"for people", good, []string{"--to", path}, "--to is for -o prometheus and ics"},
		{"for a plugin", good, []string{"-o", "json", "--to", path}, "--to is for"},
		{"no folder", good, []string{"-o", "ics", "--to", filepath.Join(dir, "x", "f.ics")}, "the folder must be there"},
	} {
		r := shell{agent: c.agent}.run(t, append([]string{"expiry"}, c.args...)...)
		if r.code != 3 || r.stdout != "" || !strings.Contains(r.stderr, c.want) {
			t.Errorf("%s: %+v", c.name, r)
		}
	}
	if now, err := os.ReadFile(path); err != nil || string(now) != string(b) {
		t.Errorf("%v: the file became %q", err, now)
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 1 {
		t.Errorf("%v: left behind: %v", err, list)
	}
}
