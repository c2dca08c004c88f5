package main

import (
	"errors"

	"github.com/cspctl/cspctl/internal/ipc"
)

// The exit codes. Scripts depend on them.
const (
	exitDone        = 0
	exitFailure     = 1
	exitUsage       = 2
	exitNoProfile   = 3 // or not logged in
	exitRefused     = 4 // the server refuses this credential
	exitUnreachable = 5 // the server can't be reached, or is failing
	exitNoAgent     = 6 // can't be reached, or is not ours
	exitMinTTL      = 7
	exitStore       = 8 // locked or unavailable
)

// exitCode is the only place where an error becomes an exit code.
func exitCode(err error) int {
	if err == nil {
		return exitDone
	}
	e, ok := errors.AsType[*ipc.Error](err)
	if !ok {
		return exitFailure
	}
	return e.Code.ExitCode()
}
