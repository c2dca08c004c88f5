package ipc

import "os"

// InPlace runs a program as if in the place of this one: with the same
// console, handles and environment. It returns the exit code of the program.
func InPlace(exe string, args []string) (code int, err error) {
	return InPlaceWith(exe, append([]string{exe}, args...), os.Environ())
}

// InPlaceWith is InPlace with all arguments, the name of the program first, and
// another environment.
func InPlaceWith(exe string, argv, env []string) (code int, err error) {
	p, err := os.StartProcess(exe, argv, &os.ProcAttr{
		Env:   env,
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
	})
	if err != nil {
		return -1, err
	}
	s, err := p.Wait()
	if err != nil {
		return -1, err
	}
	return s.ExitCode(), nil
}
