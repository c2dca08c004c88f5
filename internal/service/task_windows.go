package service

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unicode/utf16"

	"github.com/cspctl/cspctl/internal/ipc"
	tasks "github.com/cspctl/cspctl/packaging/windows"
)

// platform is the Task Scheduler's view of the service.
type platform struct {
	sid  string
	task string // its name, which all users share a folder for
}

func (m *Manager) prepare() (err error) {
	if m.Scope == System {
		return fmt.Errorf("%w: a service of the machine would not see the user's Credential Manager: leave out --system", ErrUnsupported)
	}
	m.sid, err = ipc.UserSID()
	m.task = TaskName(m.sid)
	return err
}

func (m *Manager) schtasks(ctx context.Context, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(os.Getenv("SystemRoot"), "System32", "schtasks.exe"), args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{HideWindow: true}
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("schtasks %s: %w: %s", args[0], err, bytes.TrimSpace(out))
	}
	return nil
}

func (m *Manager) install(ctx context.Context) error {
	var path bytes.Buffer
	if err := xml.EscapeText(&path, []byte(m.Exe)); err != nil {
		return err
	}
	text := strings.NewReplacer("USER_SID", m.sid, "AGENT_PATH", path.String()).Replace(tasks.Task)
	dir, err := os.MkdirTemp("", Name)
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "task.xml")
	if err := os.WriteFile(file, utf16File(text), 0o600); err != nil {
		return err
	}
	if err := m.schtasks(ctx, "/Create", "/TN", m.task, "/XML", file, "/F"); err != nil {
		return err
	}
	m.say("registered the task %s, which runs at each logon", m.task)
	return m.control(ctx, "restart")
}

// utf16File is a text as the Task Scheduler reads it, in UTF-16 with its mark.
func utf16File(text string) []byte {
	b := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(text)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return b
}

func (m *Manager) installed(ctx context.Context) bool {
	return m.schtasks(ctx, "/Query", "/TN", m.task) == nil
}

func (m *Manager) uninstall(ctx context.Context) error {
	if !m.installed(ctx) {
		return ErrNotInstalled
	}
	_ = m.schtasks(ctx, "/End", "/TN", m.task) // which fails if it does not run
	return m.schtasks(ctx, "/Delete", "/TN", m.task, "/F")
}

func (m *Manager) control(ctx context.Context, verb string) error {
	if !m.installed(ctx) {
		return ErrNotInstalled
	}
	if verb != "start" {
		_ = m.schtasks(ctx, "/End", "/TN", m.task)
	}
	if verb == "stop" {
		return nil
	}
	return m.schtasks(ctx, "/Run", "/TN", m.task)
}

// status does not know whether the task's agent runs: what schtasks prints is
// in the language of the system. Whoever asks the agent itself does.
func (m *Manager) status(ctx context.Context) (Status, error) {
	if !m.installed(ctx) {
		return Status{State: NotInstalled}, nil
	}
	return Status{State: Stopped, File: m.task}, nil
}

// Generate is for systemd.
func Generate(string, bool) error { return errors.ErrUnsupported }
