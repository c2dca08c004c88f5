package config

import (
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// On Windows, where no uid tells who connects, further sockets are refused.
func TestSocketsBySystem(t *testing.T) {
	k := Socket{Path: t.TempDir(), Role: Role{"observe"}, UIDs: []uint32{1}}
	if text := k.check("windows"); !strings.Contains(text, "Windows") {
		t.Errorf("windows: %q", text)
	}
	for _, goos := range []string{"linux", "darwin"} {
		if text := k.check(goos); text != "" {
			t.Errorf("%s: %q", goos, text)
		}
	}
}

// An error in one of several sockets names it, and its line.
func TestErrorsTellWhichSocket(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("has no further sockets")
	}
	const good = "[[sockets]]\npath = \"/run/a\"\nrole = \"observe\"\nuids = [1]\n\n"
	for _, c := range []struct {
		name, text string
		line       int
		want       string
	}{
		{"the second", good + "[[sockets]]\npath = \"/run/b\"\nrole = \"observe\"\n", 6, "socket 2 (/run/b): uids and gids are missing"},
		{"the third, spaced", good + "[[ sockets ]]\npath = \"/run/b\"\nrole = \"observe\"\nuids = [1]\n[[sockets]] # here\n", 10, "socket 3: path is missing"},
		{"among other tables", "[hook]\ncommand = [\"/bin/true\"]\n" + good + "[expiry]\ndesktop = true\n[[sockets]]\npath = \"/run/b\"\n", 10, "socket 2 (/run/b): role is missing"},
		{"a path twice", good + good, 6, "socket 2 (/run/a): socket 1 has that path"},
		{"in one line", "\nsockets = [{path = \"x\"}]\n", 2, "socket 1 (x): path is missing, or not absolute"},
	} {
		_, err := parse("config.toml", []byte(c.text))
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Line != c.line || !strings.HasPrefix(e.Text, c.want) {
			t.Errorf("%s: got %v, want line %d: %s", c.name, err, c.line, c.want)
		}
	}
}

// A build machine: who connects, and who may have which profile.
func TestProfilesForOthers(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("has no further sockets")
	}
	s, err := parse("config.toml", []byte(`
allow_root = false

[profiles.ci]
uids = [991]
gids = [990, 4294967295]
[profiles.ci.expiry]
desktop = false

[[sockets]]
path = "/run/csp-agent/token.sock"
role = "token"
gids = [990]
`))
	if err != nil {
		t.Fatal(err)
	}
	p := s.Profiles["ci"]
	if s.AllowRoot == nil || *s.AllowRoot || len(s.Sockets) != 1 || s.Sockets[0].Role.Name != RoleToken ||
		!slices.Equal(p.UIDs, []uint32{991}) || !slices.Equal(p.GIDs, []uint32{990, 4294967295}) || s.Desktop("ci") {
		t.Errorf("%+v", s)
	}
	for text, line := range map[string]int{
		"[profiles.ci]\nuids = [-1]\n": 2, "[profiles.ci]\ngids = [\"builders\"]\n": 2, "[profiles.ci]\nuid = 5\n": 2,
		"[[sockets]]\npath = \"/run/x\"\nrole = \"owner\"\nuids = [1]\n": 3,
	} {
		_, err := parse("config.toml", []byte(text))
		if e, ok := errors.AsType[*Error](err); !ok || e.Line != line {
			t.Errorf("%q: %v", text, err)
		}
	}
}
