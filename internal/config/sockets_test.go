package config

import (
	"errors"
	"runtime"
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
