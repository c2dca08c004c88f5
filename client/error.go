package client

import (
	"errors"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
)

// Error is why there is no token. Find it with errors.As, or
// errors.AsType[*client.Error]. No token or secret is in it.
type Error struct {
	// Code is what programs look at. docs/protocol.md lists the agent's; beside
	// them there are "agent_unreachable", for one that is not ours as well, and
	// [CodeHost].
	Code    string
	Message string        // one line, lower case, no full stop
	Hint    string        // what to do, in a line; may be empty
	Retry   time.Duration // when another try makes sense; zero: not known

	cause error
}

// CodeHost is the Code of a request to a host that gets no token.
const CodeHost = "host_not_allowed"

// Error returns the message, and the hint if there is one.
func (e *Error) Error() string {
	if e.Hint == "" {
		return "cspctl: " + e.Message
	}
	return "cspctl: " + e.Message + " (" + e.Hint + ")"
}

// Unwrap returns the cause, such as the error of a system call; it may be nil.
func (e *Error) Unwrap() error { return e.cause }

// ExitCode returns the exit code that cspctl has for it: 2 wrong usage, 3 no
// such profile or not logged in, 4 the server refuses the credential, 5 the
// server can't be reached, 6 the agent can't, 7 MinTTL can't be met, 8 the store
// is locked, 1 all else. 5, 6 and 8 may pass by themselves.
func (e *Error) ExitCode() int {
	if e.Code == CodeHost {
		return ipc.CodeBadRequest.ExitCode()
	}
	return ipc.Code(e.Code).ExitCode()
}

func publicError(err error) error {
	e, ok := errors.AsType[*ipc.Error](err)
	if !ok {
		return err
	}
	return &Error{Code: string(e.Code), Message: e.Message, Hint: e.Hint, Retry: time.Duration(e.Retry) * time.Second, cause: e.Err}
}
