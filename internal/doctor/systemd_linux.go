package doctor

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/cspctl/cspctl/internal/ipc"
)

// systemd asks systemd by its own programs: their output is a stable interface
// (systemctl(1), "show"), and they find the manager as a person's do.
type systemd struct {
	system bool
	getenv func(string) string
}

func systemServices(o Options) Services { return systemd{o.System, o.Getenv} }

func managerStatus(system bool) string {
	if system {
		return "systemctl status"
	}
	return "systemctl --user status"
}

const unitProperties = "Id,LoadState,LoadError,ActiveState,SubState,Result,ExecMainStatus,MainPID,FragmentPath,UnitFileState,NeedDaemonReload,ExecStart"

func (s systemd) Find(ctx context.Context) (Found, error) {
	f := Found{Manager: systemdManager}
	// sd_booted(3).
	if _, err := os.Stat("/run/systemd/system"); errors.Is(err, fs.ErrNotExist) {
		f.None = "there is no systemd here"
		return f, nil
	}
	if !s.system && !s.userManager() {
		f.None = "no systemd of this user's runs"
		return f, nil
	}
	names := []string{"show", "csp-agent.service", "csp-agent.socket"}
	if s.system {
		names = append(names, "csp-agent-token.socket") // for its group
	}
	out, err := s.systemctl(ctx, append(names, "-p", unitProperties)...)
	if err != nil {
		return f, err
	}
	for block := range strings.SplitSeq(strings.TrimSpace(out), "\n\n") {
		f.Units = append(f.Units, parseUnit(block))
	}
	return f, nil
}

// userManager reports whether the user's manager runs. systemctl would look
// for it by way of a session bus, and tell no reason that a person can use.
func (s systemd) userManager() bool {
	_, err := os.Stat(filepath.Join(s.runtimeDir(), "systemd", "private"))
	return err == nil
}

// runtimeDir is that of the user's manager, also in a shell that does not know.
func (s systemd) runtimeDir() string {
	if dir := s.getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		return dir
	}
	return filepath.Join("/run/user", strconv.Itoa(os.Geteuid()))
}

func (s systemd) systemctl(ctx context.Context, args ...string) (string, error) {
	exe := ipc.FindProgram("systemctl", s.getenv)
	if exe == "" {
		return "", errors.New("there is no systemctl on PATH")
	}
	if !s.system {
		args = append([]string{"--user"}, args...)
	}
	return output(ctx, []string{"XDG_RUNTIME_DIR=" + s.runtimeDir()}, exe, append(args, "--no-pager")...)
}

func (s systemd) Log(ctx context.Context, n int) ([]string, error) {
	exe := ipc.FindProgram("journalctl", s.getenv)
	if exe == "" {
		return nil, errors.New("there is no journalctl on PATH")
	}
	args := []string{"-u", "csp-agent.service", "-n", strconv.Itoa(n), "-o", "cat", "--no-pager", "--quiet"}
	if !s.system {
		args = append([]string{"--user"}, args...)
	}
	out, err := output(ctx, nil, exe, args...)
	return lastLines(out, n), err
}

func (s systemd) Variables(ctx context.Context) []string {
	out, err := s.systemctl(ctx, "show-environment")
	if err != nil {
		return nil
	}
	vars := strings.Split(strings.TrimSpace(out), "\n")
	// Those of the unit itself: Environment= as a line of blank-separated pairs.
	if own, err := s.systemctl(ctx, "show", "csp-agent.service", "-p", "Environment", "--value"); err == nil {
		vars = append(vars, strings.Fields(own)...)
	}
	return vars
}

// linger looks whether the agent lives on when its user logs out: with the
// last login go the user's manager and the runtime folder, and the socket with
// it (T26).
func linger(_ context.Context, e *exam) []Finding {
	if e.System || e.units().None != "" {
		return nil
	}
	me, err := user.Current()
	if err != nil {
		return []Finding{info("the user's name is not known, so whether it lingers is neither: " + because(err))}
	}
	if _, err := os.Stat(filepath.Join("/var/lib/systemd/linger", me.Username)); err == nil {
		return []Finding{ok("user " + me.Username + " lingers: the agent stays when its last login ends")}
	}
	const fix = "loginctl enable-linger"
	text := "user " + me.Username + " does not linger: the agent ends with the last login"
	if e.units().installed() && !e.desktop() {
		return []Finding{warn(text+", as for builds, cron and ssh", fix)}
	}
	return []Finding{info(text + "; where that is not wanted: " + fix)}
}

// desktop reports whether this is a session with a screen.
func (e *exam) desktop() bool {
	return e.Getenv("DISPLAY") != "" || e.Getenv("WAYLAND_DISPLAY") != "" || slices.Contains([]string{"x11", "wayland"}, e.Getenv("XDG_SESSION_TYPE"))
}
