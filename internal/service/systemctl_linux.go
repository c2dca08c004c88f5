package service

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// patience is how long systemctl may take: a service has ten seconds to stop.
const patience = 30 * time.Second

// systemctl returns what it prints. Its error has what it says on stderr.
func (m *Manager) systemctl(ctx context.Context, args ...string) (string, error) {
	return m.run(ctx, "systemctl", append([]string{"--no-ask-password", "--no-pager"}, args...)...)
}

// run runs a program of systemd's for the manager's scope.
func (m *Manager) run(ctx context.Context, program string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if m.Scope == User {
		args = append([]string{"--user"}, args...)
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.WaitDelay = time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if ctx.Err() != nil {
		err = fmt.Errorf("no answer in %v", patience)
	}
	if err != nil {
		text := strings.Join(strings.Fields(errs.String()), " ")
		if text == "" {
			text = err.Error()
		}
		err = fmt.Errorf("%s %s: %s", program, strings.Join(args, " "), text)
	}
	return strings.TrimSpace(out.String()), err
}

// runtimeDir leads to the user's service manager.
func runtimeDir() string {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		return dir
	}
	return "/run/user/" + strconv.Itoa(os.Geteuid())
}

// reachable returns an error if the service manager does not answer.
func (m *Manager) reachable(ctx context.Context) error {
	_, err := m.systemctl(ctx, "show-environment")
	if err == nil {
		return nil
	}
	if m.Scope == User {
		name := os.Getenv("USER")
		if name == "" {
			name = strconv.Itoa(os.Geteuid())
		}
		return fmt.Errorf("your service manager does not answer (%w): log in as this user, or have it run without a login: sudo loginctl enable-linger %s", err, name)
	}
	return fmt.Errorf("the service manager does not answer: %w", err)
}

// show returns properties of a unit.
func (m *Manager) show(ctx context.Context, unit string) (map[string]string, error) {
	out, err := m.systemctl(ctx, "show", "-p", "ActiveState,SubState,Result,ExecMainCode,ExecMainStatus,MainPID,FragmentPath", unit)
	p := map[string]string{}
	for line := range strings.Lines(out) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		p[name] = value
	}
	return p, err
}

// why says how the service failed.
func (m *Manager) why(service, socket map[string]string) string {
	switch {
	case service["Result"] == "exit-code":
		return "exit status " + service["ExecMainStatus"]
	case service["Result"] == "signal":
		if n, err := strconv.Atoi(service["ExecMainStatus"]); err == nil {
			return "killed: " + syscall.Signal(n).String()
		}
	case service["Result"] != "success" && service["Result"] != "":
		return service["Result"]
	case socket["Result"] != "success" && socket["Result"] != "":
		return "its socket: " + socket["Result"]
	}
	return "it ended"
}

// journal returns the last lines of the service's log.
func (m *Manager) journal(ctx context.Context) []string {
	out, err := m.run(ctx, "journalctl", "--unit="+serviceUnit, "--lines=10", "--no-pager", "--output=cat", "--quiet")
	if err != nil || out == "" {
		return nil
	}
	return strings.Split(out, "\n")
}

// explain adds the reason of a failure that systemctl names no reason for.
func (m *Manager) explain(ctx context.Context, err error) error {
	st, statusErr := m.status(ctx)
	if statusErr != nil || st.State != Failed {
		return err
	}
	if n := len(st.Log); n > 0 {
		return fmt.Errorf("the service failed (%s): %s", st.Why, st.Log[n-1])
	}
	return fmt.Errorf("the service failed (%s)", st.Why)
}

// command is a command of systemctl's as people type it.
func (m *Manager) command(args string) string {
	if m.Scope == User {
		return "systemctl --user " + args
	}
	return "sudo systemctl " + args
}

func isNotEmpty(err error) bool {
	return errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST)
}

// startTime is how long the agent may take to say that it is ready, and a
// service that fails at each start to fail.
const startTime = 2 * time.Second

// settled shows the service once it is not just being started.
func (m *Manager) settled(ctx context.Context) (map[string]string, error) {
	for end := time.Now().Add(startTime); ; {
		service, err := m.show(ctx, serviceUnit)
		if err != nil || service["ActiveState"] != "activating" || service["SubState"] == "auto-restart" || !time.Now().Before(end) {
			return service, err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return service, nil
		}
	}
}
