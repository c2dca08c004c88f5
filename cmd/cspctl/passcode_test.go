package main

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
)

// A one-time passcode is asked for where somebody is there to give it, once,
// and goes to the agent in a body.
func TestPasscodeIsAskedFor(t *testing.T) {
	person := [3]bool{true, true, true}
	for name, c := range map[string]struct {
		sh   shell
		args []string
		code int
	}{
		"a person":              {shell{tty: &fakeTTY{secret: " 123456\n"}, terminals: person}, nil, 0},
		"not six digits":        {shell{tty: &fakeTTY{secret: "12345"}, terminals: person}, nil, 2},
		"nobody":                {shell{tty: &fakeTTY{secret: "123456"}}, nil, 4},
		"no terminal":           {shell{terminals: person}, nil, 4},
		"a wrong one, given":    {shell{tty: &fakeTTY{secret: "123456"}, terminals: person}, []string{"--passcode", "654321"}, 4},
		"a right one, given":    {shell{}, []string{"--passcode", "123456"}, 0},
		"a header, to a person": {shell{tty: &fakeTTY{secret: "123456"}, terminals: person}, []string{"-o", "bearer"}, 0},
		"wrong on a terminal":   {shell{tty: &fakeTTY{secret: "654321"}, terminals: person}, nil, 4},
	} {
		t.Run(name, func(t *testing.T) {
			f := newAgent(t)
			f.refuse("GET /v1/token", ipc.CodePasscodeNeeded, "a passcode is needed", "give one")
			f.mux.HandleFunc("POST /v1/token", func(w http.ResponseWriter, _ *http.Request) {
				if !strings.Contains(f.body("POST /v1/token"), `"passcode":"123456"`) {
					sendJSON(w, http.StatusForbidden, ipc.Error{Code: ipc.CodeRefusedForNow, Message: "not that one"})
					return
				}
				w.Header().Set("Content-Type", "text/plain")
				w.Header().Set(ipc.HeaderExpiresAt, noon.Add(time.Hour).Format(time.RFC3339))
				_, _ = io.WriteString(w, aToken+"\n")
			})
			c.sh.agent = f
			r := c.sh.run(t, append([]string{"token", "prod"}, c.args...)...)
			r.want(t, c.code)
			if (r.stdout != "") != (c.code == 0) {
				t.Errorf("stdout is %q", r.stdout)
			}
			asked := c.sh.tty != nil && c.sh.terminals == person && !slices.Contains(c.args, "--passcode")
			if asked && !slices.Equal(c.sh.tty.questions, []string{"one-time passcode: "}) {
				t.Errorf("asked %q", c.sh.tty.questions)
			}
			if !asked && c.sh.tty != nil && len(c.sh.tty.questions) > 0 {
				t.Errorf("asked %q", c.sh.tty.questions)
			}
		})
	}
}
