// Package harden closes a process that holds secrets to other processes of the
// same user, as far as the system allows.
package harden

// Process makes the calling process unreadable for its own user: no core dump,
// no ptrace, no /proc/PID/mem, and files created private. It returns what
// could not be done; the process is as safe as it was then.
func Process() error { return process() }
