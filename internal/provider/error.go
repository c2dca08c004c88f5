package provider

import (
	"errors"
	"fmt"
	"time"
)

// Class says what a failed exchange means for the next one.
type Class int

const (
	// Transient trouble passes by itself: the network, 408, 409, 429, 5xx, an
	// HTML page in place of an answer.
	Transient Class = iota
	// Permanent refusals last until the secret is replaced.
	Permanent
	// PasscodeNeeded: the secret is good, but each exchange needs a one-time
	// passcode, which only a person can give.
	PasscodeNeeded
	// Refused for now: the server said no for a reason that may pass, such as
	// a policy by source address, or for what this one request asked.
	Refused
	// WrongServer answers something that no server of this kind would.
	WrongServer
)

func (c Class) String() string {
	switch c {
	case Transient:
		return "transient"
	case Permanent:
		return "permanent"
	case PasscodeNeeded:
		return "passcode needed"
	case Refused:
		return "refused"
	case WrongServer:
		return "wrong server"
	}
	return fmt.Sprintf("class %d", int(c))
}

// Error is a failed call to an upstream server. Its text is fit to be shown:
// cut to length, free of control characters and of remains of the secret.
type Error struct {
	Class   Class
	Status  int    // HTTP status, 0 if no answer came, or not the whole of a success
	Code    string // the server's own code: cspErrorCode, OAuth error, minorErrorCode
	Message string // one line, lower case, says what happened
	Hint    string // one line: what to do; may be empty

	// NotSent: no byte of the request left this machine for the server, so that
	// the server can't have acted on it.
	NotSent bool

	// RequestID is the server's name for the call, for its support; may be empty.
	RequestID string
	// RetryAfter is how long the server asked to be left alone; 0 if it did not.
	RetryAfter time.Duration
	// Err is the cause; may be nil. Its text is not part of Error's.
	Err error
}

func (e *Error) Error() string { return e.Message }
func (e *Error) Unwrap() error { return e.Err }

// AsError finds the Error in err's chain.
func AsError(err error) (*Error, bool) { return errors.AsType[*Error](err) }

// ErrSignature: the signature of a token is not by the key that the server
// publishes.
var ErrSignature = errors.New("the signature does not fit the server's public key")

// ErrNoDetails is returned by systems that tell nothing about their secrets.
var ErrNoDetails = errors.New("this system tells nothing about the stored secret")
