package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/adrg/xdg"
	"github.com/gofrs/flock"

	"github.com/cspctl/cspctl/internal/agent"
	"github.com/cspctl/cspctl/internal/atomicfile"
	"github.com/cspctl/cspctl/internal/keychain"
	"github.com/cspctl/cspctl/internal/provider"
)

// files is where the agent's files are. The names differ, since on some
// systems the folders are one.
type files struct {
	system bool // they are the system service's

	config, state, audit, store, locks string
}

// findFiles fails where the environment does not say where a home is: files
// below / or the working folder would be found by nobody.
func findFiles(getenv func(string) string) (files, error) {
	const folder = "cspctl"
	f := files{
		config: filepath.Join(xdg.ConfigHome, folder, "config.toml"),
		state:  filepath.Join(xdg.StateHome, folder, "state.json"),
		audit:  filepath.Join(xdg.StateHome, folder, "audit.jsonl"),
		store:  filepath.Join(xdg.DataHome, folder, "store.age"),
		locks:  filepath.Join(xdg.DataHome, folder, "locks"),
	}
	if err := f.moved(getenv); err != nil {
		return f, err
	}
	if home := getenv("HOME"); runtime.GOOS != "windows" && !filepath.IsAbs(home) {
		for _, name := range []string{"XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"} {
			if !filepath.IsAbs(getenv(name)) {
				return f, fmt.Errorf("neither HOME nor %s is an absolute path: set HOME to your home folder", name)
			}
		}
	}
	for _, path := range []string{f.config, f.state, f.store} {
		if !filepath.IsAbs(path) {
			return f, fmt.Errorf("there is no home for the agent's files: %q is not an absolute path", path)
		}
	}
	return f, nil
}

// moved puts the settings where the environment says.
func (f *files) moved(getenv func(string) string) error {
	if path := getenv("CSP_AGENT_CONFIG"); path != "" {
		f.config = path
		if !filepath.IsAbs(path) {
			return fmt.Errorf("CSP_AGENT_CONFIG must be an absolute path, not %q", path)
		}
	}
	return nil
}

// findSystemFiles is findFiles for the system service, which needs no home: its
// state is in the folder that systemd made for it (StateDirectory= of
// systemd.exec(5)).
func findSystemFiles(getenv func(string) string) (files, error) {
	if runtime.GOOS == "windows" {
		return files{}, errors.New("there is no system service on Windows, where a pipe is its user's alone: csp-agent run")
	}
	dir, _, _ := strings.Cut(getenv("STATE_DIRECTORY"), ":") // there may be several
	if dir == "" {
		dir = "/var/lib/csp-agent"
	}
	f := files{
		system: true,
		config: "/etc/csp-agent/config.toml",
		state:  filepath.Join(dir, "state.json"),
		audit:  filepath.Join(dir, "audit.jsonl"),
		store:  filepath.Join(dir, "store.age"),
		locks:  filepath.Join(dir, "locks"),
	}
	if !filepath.IsAbs(dir) {
		return f, fmt.Errorf("STATE_DIRECTORY must be an absolute path, not %q", dir)
	}
	return f, f.moved(getenv)
}

// stateFile is the path of the agent's state.
type stateFile string

// maxState bounds the state file, in bytes.
const maxState = 16 << 20

func (f stateFile) Path() string         { return string(f) }
func (f stateFile) Write(b []byte) error { return atomicfile.Write(string(f), b) }

func (f stateFile) Lock() (unlock func(), err error) {
	return lockForWriting(context.Background(), string(f))
}

// writingTime bounds the wait for another agent that writes a file.
const writingTime = 5 * time.Second

// lockForWriting keeps other agents from a file that they share, and removes what
// one left behind that was killed.
func lockForWriting(ctx context.Context, path string) (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, writingTime)
	defer cancel()
	unlock, err = lockFile(ctx, path+".lock")
	if err == nil {
		atomicfile.Sweep(path)
	}
	return unlock, err
}

func (f stateFile) Read() ([]byte, error) {
	b, err := atomicfile.Read(string(f), maxState)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// openStores returns the stores by their kind; nothing is read or dialled yet.
// The system service has no session, and so no keychain.
func openStores(f files, getenv func(string) string) (stores map[string]agent.Store, closeAll func()) {
	file := keychain.FileOptions{
		Path:           f.store,
		CredentialsDir: getenv("CREDENTIALS_DIRECTORY"),
		KeyFile:        getenv("CSP_AGENT_STORE_KEY_FILE"),
	}
	stores = map[string]agent.Store{
		provider.File:   keychain.NewFile(file),
		provider.Memory: keychain.NewMemory(),
	}
	if f.system {
		return stores, func() {}
	}
	session := keychain.NewKeychain()
	stores[provider.Keychain] = session
	return stores, func() { _ = session.Close() }
}

// exclusive locks a file for each profile while its secret is exchanged, for
// agents that share a store.
func exclusive(dir string) func(context.Context, string) (func(), error) {
	return func(ctx context.Context, profile string) (func(), error) {
		return lockFile(ctx, filepath.Join(dir, profile+".lock"))
	}
}

// lockFile waits until no other process holds the lock at path.
func lockFile(ctx context.Context, path string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	lock := flock.New(path, flock.SetPermissions(0o600))
	if _, err := lock.TryLockContext(ctx, 5*time.Millisecond); err != nil {
		return nil, err
	}
	return func() { _ = lock.Close() }, nil
}
