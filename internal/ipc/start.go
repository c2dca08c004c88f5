package ipc

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// startWait bounds the start of an agent.
const startWait = 2 * time.Second

// ExitRunning is the exit code of `csp-agent run` where another agent has the
// socket's path: EEXIST of errno(3). That one answers soon, if its socket was
// removed and is being made again.
const ExitRunning = 17

// EnvAutostart set to 0 forbids to start an agent.
const EnvAutostart = "CSPCTL_AUTOSTART"

// start starts the user's own agent and connects to it. However many do so at
// the same time, one of them starts it and the others wait.
func (c *Client) start(path string, deadline time.Time) (*conn, error) {
	if c.o.NoStart || c.o.Getenv(EnvAutostart) == "0" || c.o.Getenv(EnvUID) != "" {
		return nil, noAgent(path)
	}
	if err := mayStart(path, c.o.Getenv); err != nil {
		return nil, err
	}
	limit := earlier(deadline, time.Now().Add(startWait))
	lock, err := openStartLock(path, c.o.Getenv)
	if err != nil {
		return nil, &Error{Code: CodeAgent, Err: err, Hint: "see why with: csp-agent run",
			Message: "no agent answers at " + oneLine(path) + ", and none can be started: " + words(err)}
	}
	defer lock.release()
	var wait pause
	for !lock.try() {
		if conn, err := dial(path, c.o.Getenv, deadline); err == nil || !isAbsent(err) {
			return conn, err
		}
		if !wait.until(limit) {
			return nil, c.notUp(path)
		}
	}
	// Whoever held the lock may have started it meanwhile.
	if conn, err := dial(path, c.o.Getenv, deadline); err == nil || !isAbsent(err) {
		return conn, err
	}

	var child *child
	if !startUnit(path, c.o.Getenv, limit) {
		if child, err = c.launch(path); err != nil {
			return nil, err
		}
		defer child.release()
	}
	wait = pause{}
	for {
		if conn, err := dial(path, c.o.Getenv, deadline); err == nil || !isAbsent(err) {
			return conn, err
		}
		if child != nil {
			if how, ended := child.ended(); ended {
				// Perhaps another agent was quicker: it answers soon.
				child = nil
				if how != "exit status "+strconv.Itoa(ExitRunning) {
					limit = earlier(limit, time.Now().Add(startWait/4))
				}
				err = &Error{Code: CodeAgent, Message: "no agent answers at " + oneLine(path) + ": csp-agent ended at once (" + how + ")",
					Hint: "see why with: csp-agent run"}
			}
		}
		if !wait.until(limit) {
			if err != nil {
				return nil, err
			}
			return nil, c.notUp(path)
		}
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func (c *Client) notUp(path string) error {
	return &Error{Code: CodeAgent, Message: "an agent was started, but does not answer at " + oneLine(path) + " yet",
		Hint: "try again; if that does not help, see why with: csp-agent run"}
}

// launch starts `csp-agent run`, detached from everything of this process.
func (c *Client) launch(path string) (*child, error) {
	exe := FindAgent(c.o.Getenv)
	if exe == "" {
		return nil, &Error{Code: CodeAgent, Message: "no agent answers at " + oneLine(path) + ", and no csp-agent was found to start",
			Hint: "put csp-agent beside cspctl or on PATH, or start it yourself: csp-agent run"}
	}
	child, err := spawn(exe, []string{exe, "run"}, keptEnv(os.Environ()))
	if err != nil {
		return nil, &Error{Code: CodeAgent, Err: err, Message: oneLine(exe) + " can't be started: " + words(err),
			Hint: "see why with: csp-agent run"}
	}
	return child, nil
}

// FindAgent returns the path of csp-agent: beside this program, or else on
// PATH, relative entries of which are passed over. It returns "" if there is
// none.
func FindAgent(getenv func(string) string) string {
	name := "csp-agent"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	var dirs []string
	if exe, err := os.Executable(); err == nil {
		dirs = append(dirs, filepath.Dir(exe))
		if real, err := filepath.EvalSymlinks(exe); err == nil {
			dirs = append(dirs, filepath.Dir(real))
		}
	}
	return findProgram(name, append(dirs, filepath.SplitList(getenv("PATH"))...))
}

// findProgram returns the first program of that name in absolute folders, or
// "".
func findProgram(name string, dirs []string) string {
	for _, dir := range dirs {
		if !filepath.IsAbs(dir) {
			continue
		}
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && isExecutable(info) {
			return path
		}
	}
	return ""
}

// keptEnv returns what of an environment the agent gets: what says where
// things are and how to reach the network, and nothing of the shell that
// happened to call first, which may hold secrets.
func keptEnv(environ []string) []string {
	var kept []string
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if runtime.GOOS == "windows" {
			name = strings.ToUpper(name)
		}
		if name == "SSL_CERT_FILE" && strings.HasPrefix(value, "/proc/") {
			continue // of cspctl exec, and gone with it
		}
		if keptName(name) {
			kept = append(kept, entry)
		}
	}
	return kept
}

func keptName(name string) bool {
	for _, prefix := range []string{"LC_", "XDG_", "CSP_AGENT_"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	switch name {
	case "HOME", "USER", "LOGNAME", "PATH", "LANG", "TZ", "TMPDIR",
		"DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "WAYLAND_DISPLAY",
		// For the browser that a notification opens: see launch.
		"XAUTHORITY", "BROWSER", "DESKTOP_SESSION", "KDE_FULL_SESSION", "KDE_SESSION_VERSION", "WSL_DISTRO_NAME", "WSL_INTEROP",
		"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
		"http_proxy", "https_proxy", "no_proxy", "all_proxy",
		"SSL_CERT_FILE", "SSL_CERT_DIR", "GOCOVERDIR":
		return true
	case "SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "TEMP", "TMP", "USERNAME", "USERDOMAIN",
		"USERPROFILE", "HOMEDRIVE", "HOMEPATH", "APPDATA", "LOCALAPPDATA", "PROGRAMDATA", "PROGRAMFILES":
		return runtime.GOOS == "windows"
	}
	return false
}
