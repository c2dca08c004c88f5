// Package harden closes a process that holds secrets to other processes of the
// same user, as far as the system allows.
package harden

// Process makes the calling process unreadable for its own user: no core dump,
// no ptrace, no /proc/PID/mem, and files created private. It returns what
// could not be done; the process is as safe as it was then.
func Process() error { return process() }

var umask = 0o022

// Umask returns the umask that the process was started with, once Process has
// closed it: what programs expect that it starts for the user. On Windows it
// means nothing.
func Umask() int { return umask }

// Limits lifts the soft limits (getrlimit(2)) that the process was started
// under to the hard ones: the shell that happened to start it set them for
// itself. It returns an error if what is left is too little to serve with.
func Limits() error { return limits() }
