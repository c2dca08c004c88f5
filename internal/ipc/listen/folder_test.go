//go:build linux || darwin

package listen_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/ipc/listen"
)

func TestFolderMustBeTheAgentsAlone(t *testing.T) {
	cases := map[string]struct {
		make   func(dir string) error
		shared bool
		want   string // "" is fine
	}{
		"0700":                   {func(d string) error { return os.Mkdir(d, 0o700) }, false, ""},
		"open to the group":      {func(d string) error { return mkdirMode(d, 0o710) }, false, "open to others"},
		"readable":               {func(d string) error { return mkdirMode(d, 0o755) }, false, "open to others"},
		"readable, shared":       {func(d string) error { return mkdirMode(d, 0o755) }, true, ""},
		"writable, shared":       {func(d string) error { return mkdirMode(d, 0o775) }, true, "others may write"},
		"sticky, shared":         {func(d string) error { return mkdirMode(d, 0o777|fs.ModeSticky) }, true, "others may write"},
		"a link":                 {func(d string) error { return os.Symlink(os.TempDir(), d) }, true, "not a folder"},
		"a file":                 {func(d string) error { return os.WriteFile(d, nil, 0o600) }, false, "not a folder"},
		"somebody else's":        {chownedDir, false, "another user"},
		"somebody else's shared": {chownedDir, true, "another user"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if strings.HasPrefix(name, "somebody") && os.Geteuid() != 0 {
				t.Skip("needs root, to give a folder away")
			}
			dir := filepath.Join(folder(t), "d")
			if err := c.make(dir); err != nil {
				t.Fatal(err)
			}
			l, err := listen.Listen(listen.Options{Path: filepath.Join(dir, "agent.sock"), Shared: c.shared})
			if err == nil {
				defer func() { _ = l.Close() }()
			}
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if c.shared && err != nil && strings.Contains(err.Error(), ipc.EnvSocket) {
				t.Errorf("a shared socket's path is not the environment's: %v", err)
			}
		})
	}
}

func mkdirMode(dir string, mode fs.FileMode) error {
	return errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, mode))
}

func chownedDir(dir string) error {
	return errors.Join(os.Mkdir(dir, 0o700), os.Chown(dir, nobody, nobody))
}
