package agent

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
)

// errorf makes an error of the wire: what every caller of the agent gets.
func errorf(code ipc.Code, hint, format string, args ...any) *ipc.Error {
	return &ipc.Error{Code: code, Message: fmt.Sprintf(format, args...), Hint: hint}
}

// seconds rounds up, so that a caller who waits that long has waited enough.
func seconds(d time.Duration) int64 { return int64(math.Ceil(max(0, d.Seconds()))) }

// wireError translates the failures of providers and stores. Each is worded
// for people already; here they get their code and, where they lack one, the
// hint that only the agent can give, since it knows the profile.
func wireError(err error, profile string) *ipc.Error {
	if e, ok := errors.AsType[*ipc.Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*lostError](err); ok {
		return e.wire(profile)
	}
	if e, ok := errors.AsType[*provider.Error](err); ok {
		w := &ipc.Error{Message: e.Message, Hint: e.Hint, Request: e.RequestID, Retry: seconds(e.RetryAfter)}
		var hint string
		switch e.Class {
		case provider.Permanent:
			w.Code, hint = ipc.CodeRefused, "cspctl login "+profile
			// The agent alone knows which profile to name.
			w.Hint = strings.Replace(w.Hint, "run cspctl login", "run cspctl login "+profile, 1)
		case provider.PasscodeNeeded:
			w.Code, w.Hint = ipc.CodePasscodeNeeded, "cspctl token "+profile+" --passcode NNNNNN"
		case provider.Refused:
			w.Code = ipc.CodeRefusedForNow
		case provider.WrongServer:
			w.Code, hint = ipc.CodeWrongServer, "check the server: cspctl profile show "+profile
		default:
			w.Code = ipc.CodeUnreachable
		}
		if w.Hint == "" {
			w.Hint = hint
		}
		return w
	}
	if e, ok := errors.AsType[*provider.StoreError](err); ok {
		code := ipc.CodeStoreAbsent
		if e.State.Status == provider.StoreLocked {
			code = ipc.CodeStoreLocked
		}
		return &ipc.Error{Code: code, Message: e.State.Detail, Hint: e.State.Hint}
	}
	switch {
	case errors.Is(err, provider.ErrNoSecret):
		return errorf(ipc.CodeNotLoggedIn, "cspctl login "+profile, "profile %s has no secret stored", profile)
	case errors.Is(err, context.DeadlineExceeded):
		return errorf(ipc.CodeUnreachable, "try again", "no answer in time for profile %s", profile)
	case errors.Is(err, context.Canceled):
		return errorf(ipc.CodeUnreachable, "try again", "the agent is shutting down")
	}
	return errorf(ipc.CodeInternal, "", "%v", err)
}
