//go:build linux || darwin

package ipc

import (
	"errors"
	"os"
	"syscall"
)

// InPlace runs a program in the place of this one: with the same terminal and
// environment, and the exit code is the program's. It returns if that can't be
// done.
func InPlace(exe string, args []string) (code int, err error) {
	return InPlaceWith(exe, append([]string{exe}, args...), os.Environ())
}

// InPlaceWith is InPlace with all arguments, the name of the program first, and
// another environment. A file that the kernel knows no format of is a script of
// the shell, as for execvp(3).
func InPlaceWith(exe string, argv, env []string) (code int, err error) {
	err = syscall.Exec(exe, argv, env)
	if errors.Is(err, syscall.ENOEXEC) {
		err = syscall.Exec("/bin/sh", append([]string{"sh", exe}, argv[1:]...), env)
	}
	return -1, &os.PathError{Op: "exec", Path: exe, Err: err}
}
