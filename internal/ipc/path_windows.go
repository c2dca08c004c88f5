package ipc

import (
	"strings"

	"golang.org/x/sys/windows"
)

const (
	pipePrefix    = `\\.\pipe\`
	maxSocketPath = 256 // of a pipe's name, as CreateNamedPipe documents it
)

func isSocketPath(path string) bool {
	return len(path) > len(pipePrefix) && strings.EqualFold(path[:len(pipePrefix)], pipePrefix)
}

func ownSocket(func(string) string) (string, error) {
	sid, err := UserSID()
	if err != nil {
		return "", &Error{Code: CodeAgent, Message: "the user's SID can't be read: " + words(err), Err: err}
	}
	return pipePrefix + socketFolder + "-" + sid, nil
}

// UserSID returns the SID of the user that this process runs as, in its text
// form (S-1-5-21-...).
func UserSID() (string, error) {
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return "", err
	}
	return user.User.Sid.String(), nil
}

func defaultStateHome(getenv func(string) string) string { return getenv("LOCALAPPDATA") }

// reopen: a pipe is in no folder.
func reopen(string) error { return nil }
