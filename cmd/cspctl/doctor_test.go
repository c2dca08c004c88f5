package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/cspctl/cspctl/internal/ipc"
)

// cspctl doctor is csp-agent doctor, in its place: its exit code and no word
// of cspctl's own.
func TestDoctor(t *testing.T) {
	dir := t.TempDir()
	name := "csp-agent"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	exe := filepath.Join(dir, name)
	if err := os.WriteFile(exe, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	s := shell{env: map[string]string{"PATH": dir}}
	for _, c := range []struct{ args, want []string }{
		{nil, []string{"doctor", "-o", "text", "--client", ipc.Version}},
		{[]string{"-o", "json", "--system"}, []string{"doctor", "-o", "json", "--client", ipc.Version, "--system"}},
	} {
		for _, code := range []int{0, 1, 17} {
			var got []string
			s.inPlace = func(path string, args []string) (int, error) {
				if path != exe {
					t.Errorf("it runs %s", path)
				}
				got = args
				return code, nil
			}
			r := s.run(t, append([]string{"doctor"}, c.args...)...)
			if r != (result{code: code}) || !slices.Equal(got, c.want) {
				t.Errorf("got %+v, with %q", r, got)
			}
		}
	}

	s.inPlace = func(string, []string) (int, error) {
		return -1, &os.PathError{Op: "exec", Path: exe, Err: errors.New("exec format error")}
	}
	s.run(t, "doctor").want(t, exitNoAgent, "can't be run: exec format error", "hint: install")
	s.env["PATH"] = t.TempDir()
	s.run(t, "doctor").want(t, exitNoAgent, "there is no csp-agent", "hint: put csp-agent beside cspctl or on PATH")
}
