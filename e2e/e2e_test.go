//go:build unix

// Package e2e tests the product as its users meet it: the real commands, a
// real server process, real keychains. The scripts in testdata read like
// documentation.
package e2e_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// buildFlags are those of csp-agent and csp-sim. cspctl is built as it is
// shipped: a thousand of it are started.
var buildFlags []string

// bin is the folder of the built commands.
var bin string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "bin")
	if err == nil {
		defer os.RemoveAll(dir)
		bin = dir
		err = build()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func build() error {
	for _, b := range []struct {
		cgo   string
		flags []string
		names []string
	}{
		{"0", nil, []string{"../cmd/cspctl"}},
		{os.Getenv("CGO_ENABLED"), buildFlags, []string{"../cmd/csp-agent", "../cmd/csp-sim"}},
	} {
		args := append(append([]string{"build", "-o", bin}, b.flags...), b.names...)
		c := exec.CommandContext(context.Background(), "go", args...)
		if b.cgo != "" {
			c.Env = append(os.Environ(), "CGO_ENABLED="+b.cgo)
		}
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("go %v: %w\n%s", args, err, out)
		}
	}
	return nil
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setup,
		Condition:           condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"sim":        startSim,
			"fault":      fault,
			"control":    control,
			"nofault":    noFault,
			"arrived":    arrived,
			"exchanges":  exchanges,
			"agent":      startAgent,
			"stopagent":  stopAgent,
			"hangup":     hangup,
			"noleak":     noLeak,
			"words":      words,
			"rewrite":    rewrite,
			"keyring":    keyring,
			"desktop":    desktop,
			"shown":      shown,
			"code":       code,
			"stdin-code": stdinCode,
			"oneagent":   oneAgent,
			"storekey":   storeKeyCommand,
			"examine":    examine,
			"finds":      finds,
		},
	})
}

// condition knows [root] and the programs, as [exec:NAME] does.
func condition(name string) (bool, error) {
	switch name {
	case "root":
		return os.Geteuid() == 0, nil
	case "systemd": // sd_booted(3)
		_, err := os.Stat("/run/systemd/system")
		return err == nil, nil
	}
	return false, fmt.Errorf("unknown condition %s", name)
}

// setup gives a script a home of its own and no way to anybody's real agent.
func setup(e *testscript.Env) error {
	w, err := newWorld(e.WorkDir)
	if err != nil {
		return err
	}
	e.Defer(w.close)
	e.Vars = append(e.Vars, w.env...)
	e.Values[worldKey{}] = w
	return nil
}

type worldKey struct{}

func worldOf(ts *testscript.TestScript) *world { return ts.Value(worldKey{}).(*world) }

// path makes the names of files absolute in a script.
func path(ts *testscript.TestScript, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return ts.MkAbs(name)
}
