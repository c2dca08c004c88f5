//go:build unix

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cspctl/cspctl/internal/ipc"
)

// The token is in what curl opens, and not in its arguments.
func TestCurlPassesTheTokenInAFile(t *testing.T) {
	f := newAgent(t)
	f.json("GET /v1/hosts", ipc.Hosts{Profile: "prod", Hosts: []string{"a.example"}, CSP: []string{"a.example"}})
	f.token(nil)
	programs := t.TempDir()
	if err := os.WriteFile(filepath.Join(programs, "curl"), nil, 0o700); err != nil {
		t.Fatal(err)
	}
	for auth, want := range map[string]string{"header": "csp-auth-token: " + aToken + "\n", "bearer": "Authorization: Bearer " + aToken + "\n"} {
		s := shell{agent: f, env: map[string]string{"PATH": "relative:" + programs}}
		s.inPlace = func(exe string, args []string) (int, error) {
			if exe != filepath.Join(programs, "curl") {
				t.Errorf("it runs %s", exe)
			}
			at := slices.Index(args, "-H")
			b, err := os.ReadFile(strings.TrimPrefix(args[at+1], "@"))
			if err != nil || string(b) != want {
				t.Errorf("%v: %q, %v", args, b, err)
			}
			if args[0] != "-q" || args[1] != "--globoff" || strings.Contains(strings.Join(args, " "), aToken) {
				t.Errorf("%q", args)
			}
			return 22, nil
		}
		if r := s.run(t, "curl", "prod", "--auth", auth, "-s", "https://a.example/"); r.code != 22 || r.stdout != "" || r.stderr != "" {
			t.Errorf("%+v", r)
		}
	}
}
