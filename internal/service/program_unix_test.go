//go:build unix

package service

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckProgram(t *testing.T) {
	for name, c := range map[string]struct {
		file, folder os.FileMode
		uid          int // of the folder; 0: one's own
		scope        Scope
		want         string // in the error; empty: fine
	}{
		"as installed":                 {0o755, 0o755, 0, User, ""},
		"a group may write":            {0o775, 0o775, 0, User, ""},
		"everybody may write to it":    {0o757, 0o755, 0, User, "everybody may write"},
		"to its folder":                {0o755, 0o777, 0, User, "everybody may write"},
		"to a folder of others' files": {0o755, 0o777 | os.ModeSticky, 0, User, ""},
		"somebody else's folder":       {0o755, 0o755, 65533, User, "belongs to another user"},
		"for the system":               {0o755, 0o755, 65533, System, "belongs to another user"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.uid != 0 && os.Geteuid() != 0 {
				t.Skip("needs root, to give a folder away")
			}
			dir := filepath.Join(t.TempDir(), "bin")
			file := filepath.Join(dir, "csp-agent")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, nil, 0o755); err != nil {
				t.Fatal(err)
			}
			for path, mode := range map[string]os.FileMode{file: c.file, dir: c.folder} {
				if err := os.Chmod(path, mode); err != nil {
					t.Fatal(err)
				}
			}
			if c.uid != 0 {
				if err := os.Chown(dir, c.uid, c.uid); err != nil {
					t.Fatal(err)
				}
			}
			err := checkProgram(file, c.scope)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
