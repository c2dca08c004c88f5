package ipc

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
)

// The environment variables that say where the agent is.
const (
	EnvSocket = "CSP_AGENT_SOCK" // the socket's path; wins over every rule
	EnvUID    = "CSP_AGENT_UID"  // one more uid that may run the agent
)

// SystemDir holds the sockets of the system service.
const SystemDir = "/run/csp-agent"

// SystemTokenSocket is the socket on which the system service gives tokens to
// its group.
const SystemTokenSocket = SystemDir + "/token.sock"

var systemDir = SystemDir // tests move it

func systemSocket() string { return filepath.Join(systemDir, filepath.Base(SystemTokenSocket)) }

const (
	socketFolder = "csp-agent"
	socketName   = "agent.sock"
)

// ErrPathTooLong is the cause of errors about a socket's path that is longer
// than the operating system allows.
var ErrPathTooLong = errors.New("the socket's path is too long")

// SocketPath returns where the user's own agent listens, now or once it is
// started: $CSP_AGENT_SOCK, else agent.sock in the first of these folders that
// the user owns:
//
//	$XDG_RUNTIME_DIR/csp-agent
//	/run/user/UID/csp-agent, if /run/user/UID has mode 0700
//	~/.cache/csp-agent/HOSTNAME
//
// The answer is the same in every shell, in cron and in tmux, whether or not
// XDG_RUNTIME_DIR is set there. On Windows it is a pipe named after the user's
// SID. Errors are *Error with CodeAgent; one that wraps ErrPathTooLong says
// that the path exceeds the limit of the operating system.
func SocketPath(getenv func(string) string) (string, error) {
	path := getenv(EnvSocket)
	if path == "" {
		var err error
		if path, err = ownSocket(getenv); err != nil {
			return "", err
		}
	}
	return path, CheckSocketPath(path)
}

// CheckSocketPath returns an error unless a socket can have that path: it must
// be absolute and within the operating system's limit.
func CheckSocketPath(path string) error {
	switch {
	case !isSocketPath(path):
		return &Error{Code: CodeAgent, Message: "not the absolute path of a socket: " + printable(path),
			Hint: "set " + EnvSocket + " to an absolute path, or unset it"}
	case len(path) > maxSocketPath:
		return &Error{Code: CodeAgent, Err: ErrPathTooLong,
			Message: "the socket's path has " + strconv.Itoa(len(path)) + " bytes, and the system allows " +
				strconv.Itoa(maxSocketPath) + ": " + oneLine(path),
			Hint: "set " + EnvSocket + " to a shorter path, for the agent and for cspctl"}
	}
	return nil
}

// holdsProfiles reports whether the user's own agent has a state file: it was
// logged in to before.
func holdsProfiles(getenv func(string) string) bool {
	dir := getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(dir) {
		if dir = defaultStateHome(getenv); dir == "" {
			return false
		}
	}
	_, err := os.Stat(filepath.Join(dir, "cspctl", "state.json"))
	return err == nil
}
