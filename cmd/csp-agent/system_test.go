//go:build linux || darwin

package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cspctl/cspctl/internal/ipc/listen"
	"github.com/cspctl/cspctl/internal/provider"
)

func TestFilesOfTheSystemService(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		want string // config, state, store; or what the error says
	}{
		{nil, "/etc/csp-agent/config.toml /var/lib/csp-agent/state.json /var/lib/csp-agent/store.age"},
		{map[string]string{"STATE_DIRECTORY": "/var/lib/a:/var/lib/b"}, "/etc/csp-agent/config.toml /var/lib/a/state.json /var/lib/a/store.age"},
		{map[string]string{"CSP_AGENT_CONFIG": "/x.toml", "HOME": "relative"}, "/x.toml /var/lib/csp-agent/state.json /var/lib/csp-agent/store.age"},
		{map[string]string{"CSP_AGENT_CONFIG": "x.toml"}, "CSP_AGENT_CONFIG must be an absolute path"},
		{map[string]string{"STATE_DIRECTORY": "lib"}, "STATE_DIRECTORY must be an absolute path"},
	} {
		f, err := findSystemFiles(func(name string) string { return c.env[name] })
		got := strings.Join([]string{f.config, f.state, f.store}, " ")
		if err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, c.want) || !f.system {
			t.Errorf("%v: %s", c.env, got)
		}
	}
}

// What the system service does where the settings do not say.
func TestDefaultsOfTheSystemService(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.toml")
	s := loadSettings(files{system: true, config: path}, slog.New(slog.DiscardHandler), new(slog.LevelVar))
	if s.store() != provider.File || !s.allowRoot() {
		t.Errorf("%q, %v", s.store(), s.allowRoot())
	}
	if err := os.WriteFile(path, []byte("store = \"memory\"\nallow_root = false\n[profiles.ci]\ngids = [9]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.reload()
	if g := s.grants("ci"); s.store() != provider.Memory || s.allowRoot() || len(g.GIDs) != 1 || len(g.UIDs) != 0 || len(s.grants("prod").GIDs) != 0 {
		t.Errorf("%q, %v, %v", s.store(), s.allowRoot(), g)
	}
	stores, done := openStores(files{system: true}, func(string) string { return "" })
	defer done()
	if len(stores) != 2 || stores[provider.Keychain] != nil {
		t.Errorf("a service without a session has the stores %v", stores)
	}
}

// Without units, as in a container, the service makes the owner's socket in a
// folder that others may enter.
func TestSystemServiceMakesItsOwnSocket(t *testing.T) {
	_, _, dir := newFurther(t)
	path := filepath.Join(dir, "run", "agent.sock")
	t.Setenv("CSP_AGENT_SOCK", path)
	s := loadSettings(files{system: true, config: filepath.Join(dir, "none.toml")}, slog.New(slog.DiscardHandler), new(slog.LevelVar))
	sockets, err := openSockets(s, slog.New(slog.DiscardHandler), func(listen.Peer, error) {})
	if err != nil {
		t.Fatal(err)
	}
	defer sockets.close()
	for file, mode := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o755} {
		if info, err := os.Lstat(file); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", file, info, err)
		}
	}
	if others := sockets.follow(s.sockets()); len(others) != 0 || len(sockets.listeners()) != 1 {
		t.Errorf("%v", others)
	}
}
