//go:build unix

package api

import "syscall"

// openFlags: no waiting for the other end of a named pipe, no following of a
// symbolic link.
const openFlags = syscall.O_NONBLOCK | syscall.O_NOFOLLOW
