// Package service makes the agent a service of the system's own kind: units of
// systemd on Linux, a launchd agent on macOS, a logon task on Windows, where a
// service of the machine would not see the user's Credential Manager.
package service

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
)

// Name is that of the unit, of the launchd agent's last part and of the task.
const Name = "csp-agent"

// LaunchdLabel is the name of the launchd agent, and of its property list.
const LaunchdLabel = "io.github.cspctl." + Name

// TaskName is the name of a user's task at the Task Scheduler, which has one
// folder for all users. sid is the user's.
func TaskName(sid string) string { return Name + "-" + sid }

// Scope is whose service it is.
type Scope int

const (
	// User is a service of the user who calls, with that user's keychain.
	User Scope = iota
	// System is the service of a machine, for builds and shared hosts.
	System
)

// ErrUnsupported is wrapped by the error of Install where the system has no
// such service.
var ErrUnsupported = errors.New("there is no such service here")

// ErrNotInstalled is returned by Start, Stop and Restart.
var ErrNotInstalled = errors.New("the service is not installed")

// Options say what a Manager manages.
type Options struct {
	Scope Scope
	// Exe is the absolute path of csp-agent, which the service runs.
	Exe string
	// Strangers: the settings let others than the owner use the agent, so that
	// its sandbox must be able to tell uids apart.
	Strangers bool
	// Writable are the folders of the settings in which files with tokens may be.
	Writable []string
	// Tell hears what was done and what is to be known, a line each.
	Tell func(line string)
	// NewKey makes the key of the system service's store, as an age identity
	// file.
	NewKey func() ([]byte, error)
}

// State is how it is with the service.
type State string

// The states of a service.
const (
	NotInstalled State = "not installed"
	Stopped      State = "stopped"
	Waiting      State = "waiting" // the first client starts it
	Running      State = "running"
	Failed       State = "failed"
)

// Status is what the service manager says of the service.
type Status struct {
	State State
	File  string   // the unit, plist or task it is installed by
	PID   int      // 0 unless it runs
	Why   string   // of a failure, in the manager's words
	Log   []string // the last lines of a service that failed, oldest first
}

// Manager installs and controls the service. Its errors name the fix.
type Manager struct {
	Options
	platform
	none error // why there can't be such a service here
}

// New returns a manager. Where there can't be such a service, none is
// installed, and Install says why.
func New(o Options) (*Manager, error) {
	if o.Tell == nil {
		o.Tell = func(string) {}
	}
	m := &Manager{Options: o}
	err := m.prepare()
	if errors.Is(err, ErrUnsupported) {
		m.none, err = err, nil
	}
	return m, err
}

func (m *Manager) say(format string, args ...any) { m.Tell(fmt.Sprintf(format, args...)) }

// Check returns why Install would change nothing: there can't be such a
// service here, or others could replace its program.
func (m *Manager) Check() error {
	if m.none != nil {
		return m.none
	}
	if !filepath.IsAbs(m.Exe) {
		return fmt.Errorf("csp-agent's own path is unknown (%q): start it by its absolute path", m.Exe)
	}
	return checkProgram(m.Exe, m.Scope)
}

// Install makes the service, or brings it up to date, and starts it: its
// sockets, where those start the agent. It can be repeated at any time, also
// after one that failed halfway.
func (m *Manager) Install(ctx context.Context) error {
	if err := m.Check(); err != nil {
		return err
	}
	return m.install(ctx)
}

// Uninstall stops the service and removes all that Install made, but for keys,
// and nothing of the user's.
func (m *Manager) Uninstall(ctx context.Context) error {
	if m.absent() {
		return ErrNotInstalled
	}
	return m.uninstall(ctx)
}

// Start starts the service. One that runs is fine.
func (m *Manager) Start(ctx context.Context) error { return m.do(ctx, "start") }

// Stop stops the service. One that does not run is fine.
func (m *Manager) Stop(ctx context.Context) error { return m.do(ctx, "stop") }

// Restart stops and starts the service. Where systemd has the sockets, clients
// wait meanwhile and none fails.
func (m *Manager) Restart(ctx context.Context) error { return m.do(ctx, "restart") }

// absent: there can't be such a service here.
func (m *Manager) absent() bool { return m.none != nil }

func (m *Manager) do(ctx context.Context, verb string) error {
	if m.absent() {
		return ErrNotInstalled
	}
	return m.control(ctx, verb)
}

// Status asks the service manager.
func (m *Manager) Status(ctx context.Context) (Status, error) {
	if m.absent() {
		return Status{State: NotInstalled}, nil
	}
	return m.status(ctx)
}
