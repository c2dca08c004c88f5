package service

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	kardianos "github.com/kardianos/service"

	"github.com/cspctl/cspctl/packaging/launchd"
)

// platform is launchd's view of the service.
type platform struct {
	plist  string // its path
	domain string // gui/UID
}

func (m *Manager) prepare() error {
	if m.Scope == System {
		return fmt.Errorf("%w: on macOS the agent is a user's own, in the session that has the keychain: leave out --system", ErrUnsupported)
	}
	if os.Geteuid() == 0 {
		return errors.New("as root this would be root's own agent: run it without sudo")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return err
	}
	m.plist = filepath.Join(home, "Library", "LaunchAgents", LaunchdLabel+".plist")
	m.domain = "gui/" + strconv.Itoa(os.Getuid())
	return nil
}

func (m *Manager) target() string { return m.domain + "/" + LaunchdLabel }

// launchctl runs it. kardianos/service's load and unload are not used: they
// are deprecated, and fail with "5: Input/output error" since macOS 13.
func (m *Manager) launchctl(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/launchctl", args...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("launchctl %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return string(out), err
}

func (m *Manager) install(ctx context.Context) error {
	logs := filepath.Join(filepath.Dir(filepath.Dir(m.plist)), "Logs")
	k, err := kardianos.New(nil, &kardianos.Config{
		Name: LaunchdLabel, Executable: m.Exe,
		Option: kardianos.KeyValue{"UserService": true, "LaunchdConfig": launchd.Plist, "LogDirectory": logs},
	})
	if err != nil {
		return err
	}
	if err := m.remove(ctx); err != nil {
		return err
	}
	if err := k.Install(); err != nil {
		_ = os.Remove(m.plist) // half of it would be in the way of the next
		return fmt.Errorf("the launchd agent can't be written: %w", err)
	}
	m.say("wrote %s; its log goes to %s", m.plist, logs)
	return m.control(ctx, "start")
}

// remove has launchd forget the agent, and removes its file.
func (m *Manager) remove(ctx context.Context) error {
	if m.loaded(ctx) {
		if _, err := m.launchctl(ctx, "bootout", m.target()); err != nil && m.loaded(ctx) {
			return err
		}
	}
	if err := os.Remove(m.plist); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func (m *Manager) loaded(ctx context.Context) bool {
	_, err := m.launchctl(ctx, "print", m.target())
	return err == nil
}

func (m *Manager) installed() bool {
	_, err := os.Lstat(m.plist)
	return err == nil
}

func (m *Manager) uninstall(ctx context.Context) error {
	was := m.installed() || m.loaded(ctx)
	if err := m.remove(ctx); err != nil {
		return err
	}
	if !was {
		return ErrNotInstalled
	}
	return nil
}

func (m *Manager) control(ctx context.Context, verb string) error {
	if !m.installed() {
		return ErrNotInstalled
	}
	loaded := m.loaded(ctx)
	var err error
	switch {
	case verb == "stop" && loaded:
		// By KeepAlive it would start again at once if it merely ended.
		_, err = m.launchctl(ctx, "bootout", m.target())
	case verb == "restart" && loaded:
		_, err = m.launchctl(ctx, "kickstart", "-k", m.target())
	case verb != "stop" && !loaded:
		_, err = m.launchctl(ctx, "bootstrap", m.domain, m.plist)
	}
	return err
}

var (
	pidLine  = regexp.MustCompile(`(?m)^\s*pid = (\d+)$`)
	exitLine = regexp.MustCompile(`(?m)^\s*last exit code = ([1-9]\d*.*)$`)
)

func (m *Manager) status(ctx context.Context) (Status, error) {
	if !m.installed() {
		return Status{State: NotInstalled}, nil
	}
	st := Status{State: Stopped, File: m.plist}
	out, _ := m.launchctl(ctx, "print", m.target()) // fails for one that is not loaded
	if found := pidLine.FindStringSubmatch(out); found != nil {
		st.PID, _ = strconv.Atoi(found[1])
		st.State = Running
	} else if found := exitLine.FindStringSubmatch(out); found != nil {
		st.State, st.Why = Failed, "exit status "+found[1]
	}
	return st, nil
}

// Generate is for systemd.
func Generate(string, bool) error { return ErrUnsupported }
