package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// cspctl itself is this test binary under another name, which is how its main
// counts for coverage. It is on PATH in every test of this package.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"cspctl": main})
}

// The scripts of testdata read like a session in a shell. No agent runs in
// them, and none is started: those with the real agent are in the folder e2e.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("CSPCTL_AUTOSTART", "0")
			return home(e)
		},
	})
}

// home gives a script a home of its own, and no way to the user's real agent.
func home(e *testscript.Env) error {
	dir := filepath.Join(e.WorkDir, "home")
	run, err := os.MkdirTemp("", "run") // a socket's path must be short
	if err != nil {
		return err
	}
	e.Defer(func() { _ = os.RemoveAll(run) })
	e.Setenv("HOME", dir)
	e.Setenv("XDG_RUNTIME_DIR", run)
	e.Setenv("LOCALAPPDATA", dir)
	e.Setenv("GORACE", "atexit_sleep_ms=0") // the race detector waits a second at each exit
	for _, name := range []string{"XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "CSP_AGENT_SOCK", "CSPCTL_PROFILE", "CSPCTL_WARNINGS"} {
		e.Setenv(name, "")
	}
	return os.Mkdir(dir, 0o700)
}
