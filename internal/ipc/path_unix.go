//go:build unix

package ipc

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// maxSocketPath is the size of sun_path less its final NUL: 108 on Linux, 104
// on the BSDs and macOS.
const maxSocketPath = len(syscall.RawSockaddrUnix{}.Path) - 1

func isSocketPath(path string) bool {
	return filepath.IsAbs(path) && !strings.ContainsRune(path, 0)
}

func ownSocket(getenv func(string) string) (string, error) {
	if dir := runtimeDir(getenv); dir != "" {
		return filepath.Join(dir, socketFolder, socketName), nil
	}
	home := getenv("HOME")
	if !filepath.IsAbs(home) {
		return "", &Error{Code: CodeAgent, Message: "neither XDG_RUNTIME_DIR nor HOME names a folder for the agent's socket",
			Hint: "set HOME, or " + EnvSocket}
	}
	return filepath.Join(home, ".cache", socketFolder, hostname(), socketName), nil
}

// runtimeDir returns the user's runtime directory, or "" if there is none.
func runtimeDir(getenv func(string) string) string {
	if dir := getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) && isOurs(dir) {
		return dir
	}
	// Where a login without PAM, su or cron leaves the variable unset, the
	// directory of the user's other logins still serves.
	dir := "/run/user/" + strconv.Itoa(os.Geteuid())
	if info, err := os.Stat(dir); err == nil && info.Mode().Perm() == 0o700 && isOurs(dir) {
		return dir
	}
	return ""
}

// isOurs reports whether path is a directory of the effective user.
func isOurs(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir() && isOwner(info)
}

func isOwner(info os.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}

// hostname names this machine's folder in a home that several may share.
func hostname() string {
	name, _ := os.Hostname()
	if runtime.GOOS == "darwin" {
		// The domain follows the network that the Mac is in.
		name, _, _ = strings.Cut(name, ".")
	}
	name = strings.Map(func(r rune) rune {
		if r <= ' ' || r == '/' || r >= 0x7f {
			return '_'
		}
		return r
	}, name)
	if name == "" || name == "." || name == ".." {
		return "localhost"
	}
	return name
}

func defaultStateHome(getenv func(string) string) string {
	home := getenv("HOME")
	switch {
	case !filepath.IsAbs(home):
		return ""
	case runtime.GOOS == "darwin":
		return filepath.Join(home, "Library", "Application Support")
	}
	return filepath.Join(home, ".local", "state")
}
