package ipc

import "os"

// InPlace runs a program as if in the place of this one: with the same
// console, handles and environment. It returns the exit code of the program.
func InPlace(exe string, args []string) (code int, err error) {
	p, err := os.StartProcess(exe, append([]string{exe}, args...), &os.ProcAttr{
		Env:   os.Environ(),
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
