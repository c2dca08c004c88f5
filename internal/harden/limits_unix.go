//go:build unix

package harden

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// What the agent can't do with less of: a state file, a store and an audit log
// have room below this size, in bytes, and some clients among these files.
const (
	minFileSize = 64 << 20
	minFiles    = 256
)

func limits() error {
	// RLIMIT_NOFILE is raised by the Go runtime, and put back for children.
	for _, which := range []int{unix.RLIMIT_FSIZE, unix.RLIMIT_CPU, unix.RLIMIT_AS, unix.RLIMIT_DATA} {
		var l unix.Rlimit
		if unix.Getrlimit(which, &l) == nil && l.Cur < l.Max {
			l.Cur = l.Max
			_ = unix.Setrlimit(which, &l) // what is left of it is looked at below
		}
	}
	for _, need := range []struct {
		which int
		least uint64
		about string
		raise string
	}{
		{unix.RLIMIT_FSIZE, minFileSize, "the size of a file, in bytes,", "ulimit -f unlimited"},
		{unix.RLIMIT_NOFILE, minFiles, "open files", "ulimit -n 1024"},
	} {
		var l unix.Rlimit
		if err := unix.Getrlimit(need.which, &l); err == nil && l.Cur < need.least {
			return fmt.Errorf("the limit for %s is %d, and the agent needs %d: raise it (%s), or start the agent elsewhere",
				need.about, l.Cur, need.least, need.raise)
		}
	}
	return nil
}
