package main

import (
	"encoding/json"
	"testing"
	"unicode"

	"github.com/cspctl/cspctl/internal/ipc"
)

// nasty has what a terminal acts on: C1 controls, a change of direction, an
// invisible character, a tag beyond 16 bits.
const nasty = "a\u009b31mb\u0085c\u202ed\u2066e\u200bf\U000E0041g\x1b[31m\x7f"

// With -o json, nothing that is printed moves the cursor or turns the text
// around, and it still says the same.
func TestJSONIsVisible(t *testing.T) {
	f := newAgent(t)
	f.refuse("GET /v1/token", ipc.CodeUnreachable, nasty, nasty)
	f.json("GET /v1/profile", ipc.Profile{Name: "prod", Username: nasty})
	// The client has cleaned some of it already.
	failed := shell{agent: f}.run(t, "token", "-o", "json")
	var e ipc.Error
	if err := json.Unmarshal([]byte(failed.stderr), &e); err != nil || e.Code != ipc.CodeUnreachable || e.Message == "" {
		t.Errorf("%q: %v", failed.stderr, err)
	}
	shown := shell{agent: f}.run(t, "profile", "show", "-o", "json")
	var p ipc.Profile
	if err := json.Unmarshal([]byte(shown.stdout), &p); err != nil || p.Username != nasty {
		t.Errorf("%q: %v", shown.stdout, err)
	}
	for _, out := range []string{failed.stderr, shown.stdout} {
		for _, r := range out {
			if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
				t.Errorf("%U in %q", r, out)
			}
		}
	}
}
