package main

import (
	"encoding/json"
	"flag"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
)

// walk calls f for every command, those below others included.
func walk(table []*command, path string, f func(c *command, path string)) {
	for _, c := range table {
		name := strings.TrimSpace(path + " " + c.name)
		f(c, name)
		walk(c.below, name, f)
	}
}

func TestEveryCommandHasHelp(t *testing.T) {
	n := 0
	walk(commands, "", func(c *command, path string) {
		n++
		r := shell{}.run(t, append(strings.Fields(path), "--help")...)
		r.want(t, 0)
		if c.summary == "" || strings.HasSuffix(c.summary, ".") || !strings.Contains(r.stdout, "cspctl "+path+": "+c.summary) ||
			!strings.Contains(r.stdout, "Usage: cspctl "+path) {
			t.Errorf("help of %s: %q", path, r.stdout)
		}
		if same := (shell{}).run(t, append([]string{"help"}, strings.Fields(path)...)...); same.stdout != r.stdout {
			t.Errorf("cspctl help %s and cspctl %s --help differ", path, path)
		}
		for line := range strings.Lines(r.stdout) {
			if len(line) > 100 {
				t.Errorf("help of %s has a line of %d", path, len(line))
			}
		}
		for line := range strings.Lines(c.examples) {
			if !strings.Contains(line, "cspctl ") {
				t.Errorf("an example of %s has no cspctl in it: %q", path, line)
			}
		}
		if c.setup == nil {
			return
		}
		fs := newFlags(c)
		c.setup(fs)
		fs.VisitAll(func(f *flag.Flag) {
			if f.Usage == "" || !strings.Contains(r.stdout, "  "+dashed(f.Name)) {
				t.Errorf("help of %s says nothing of %s", path, dashed(f.Name))
			}
		})
	})
	if n < 12 {
		t.Errorf("only %d commands", n)
	}
}

func TestOverview(t *testing.T) {
	want := shell{}.run(t, "help")
	want.want(t, 0)
	for _, arg := range []string{"-h", "--help"} {
		if got := (shell{}).run(t, arg); got != want {
			t.Errorf("%s: %+v", arg, got)
		}
	}
	for _, c := range commands {
		if !strings.Contains(want.stdout, "  "+c.name+" ") {
			t.Errorf("no %s in the overview", c.name)
		}
	}
}

func TestUsageErrors(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "no command given"},
		{[]string{"tokne"}, "did you mean: cspctl token"},
		{[]string{"xyzzy"}, "hint: see: cspctl help"},
		{[]string{"-o", "json", "token"}, ""},
		{[]string{"--verbose", "token"}, "flags come after the command"},
		{[]string{"profile"}, "profile needs a command below it"},
		{[]string{"profile", "lst"}, "did you mean: cspctl profile list"},
		{[]string{"profile", "use"}, "profile use needs PROFILE"},
		{[]string{"profile", "rename", "a"}, "profile rename needs NEW"},
		{[]string{"profile", "rename", "a", "b/c"}, "character"},
		{[]string{"profile", "list", "a"}, "profile list takes no argument"},
		{[]string{"socket", "--fresh"}, "unknown flag"},
		{[]string{"logout", "a", "--all"}, "PROFILE or --all"},
		{[]string{"completion"}, "completion needs SHELL"},
		{[]string{"completion", "fissh"}, "did you mean: cspctl completion fish"},
		{[]string{"help", "token", "x"}, "no command below it"},
		{[]string{"help", "tkoen"}, "did you mean: cspctl token"},
		{[]string{strings.Repeat("s", 64)}, "unknown command"},
	} {
		r := shell{}.run(t, c.args...)
		r.want(t, 2, c.want)
		if strings.Contains(r.stderr, strings.Repeat("s", 64)) {
			t.Errorf("P1: what may be a secret is repeated: %s", r.stderr)
		}
	}
}

func TestProfileList(t *testing.T) {
	f := newAgent(t)
	f.profiles("prod", "ci")
	r := shell{agent: f}.run(t, "profile", "list")
	r.want(t, 0)
	want := "PROFILE  PROVIDER  SERVER                            USER  ORG   STORE   API TOKEN\n" +
		"prod *   csp       https://console.cloud.vmware.com        acme  memory  -\n" +
		"ci       csp       https://console.cloud.vmware.com        acme  memory  -\n"
	if r.stdout != want {
		t.Errorf("got\n%s", r.stdout)
	}
	r = shell{agent: f}.run(t, "profile", "list", "-o", "json")
	var got struct {
		Schema   int
		Profiles []ipc.Profile
	}
	if err := json.Unmarshal([]byte(r.stdout), &got); err != nil || got.Schema != 1 || len(got.Profiles) != 2 || got.Profiles[1].Name != "ci" {
		t.Errorf("%v: %s", err, r.stdout)
	}
}

func TestProfileListWithoutProfiles(t *testing.T) {
	f := newAgent(t)
	f.profiles()
	r := shell{agent: f}.run(t, "profile", "list")
	r.want(t, 0, "there are no profiles", "hint: log in")
	if r.stdout != "" {
		t.Errorf("stdout is %q", r.stdout)
	}
	r = shell{agent: f}.run(t, "profile", "list", "-o", "json")
	if !strings.Contains(r.stdout, `"profiles": []`) {
		t.Errorf("stdout is %q", r.stdout)
	}
}

func TestProfileShow(t *testing.T) {
	f := newAgent(t)
	f.profiles("prod", "ci")
	if r := (shell{agent: f}).run(t, "profile", "show"); !strings.HasPrefix(r.stdout, "profile    prod *\n") ||
		!strings.Contains(r.stdout, "logged in  2026-05-01 12:00 UTC (3d ago)\n") {
		t.Errorf("got %q", r.stdout)
	}
	if r := (shell{agent: f}).run(t, "profile", "show", "ci", "-o", "json"); !strings.Contains(r.stdout, `"name": "ci"`) || !strings.Contains(r.stdout, `"schema": 1`) {
		t.Errorf("got %q", r.stdout)
	}
	shell{agent: f}.run(t, "profile", "show", "nobody").want(t, 3, `no profile "nobody"`)
}

func TestExpiryText(t *testing.T) {
	in := func(d time.Duration) *ipc.Expiry { at := noon.Add(d); return &ipc.Expiry{ExpiresAt: &at} }
	for want, e := range map[string]*ipc.Expiry{"-": nil, "never expires": {Never: true}, "unknown": {}, "40d left": in(40 * 24 * time.Hour),
		"expired 2h ago": in(-2 * time.Hour), "expired now": in(0)} {
		if got := expiryText(e, noon); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestChangesOfProfiles(t *testing.T) {
	person := [3]bool{true, true, true}
	for _, c := range []struct {
		args []string
		sh   shell
		code int
		want []string // what the agent is asked
	}{
		{[]string{"profile", "use", "ci"}, shell{}, 0, []string{"POST /v1/profiles/ci/use"}},
		{[]string{"profile", "rename", "ci", "build"}, shell{}, 0, []string{"POST /v1/profiles/ci/rename"}},
		{[]string{"profile", "remove", "ci", "--yes"}, shell{}, 0, []string{"DELETE /v1/profiles/ci"}},
		{[]string{"profile", "remove", "ci"}, shell{tty: &fakeTTY{yes: true}, terminals: person}, 0, []string{"DELETE /v1/profiles/ci?interactive=true"}},
		{[]string{"profile", "rename", "ci", "build"}, shell{terminals: person}, 0, []string{"POST /v1/profiles/ci/rename?interactive=true"}},
		{[]string{"logout", "ci"}, shell{terminals: person}, 0, []string{"POST /v1/profiles/ci/logout?interactive=true"}},
		{[]string{"profile", "remove", "ci"}, shell{tty: &fakeTTY{}, terminals: person}, 1, nil},
		{[]string{"profile", "remove", "ci"}, shell{tty: &fakeTTY{yes: true}}, 2, nil}, // no person
		{[]string{"profile", "remove", "ci"}, shell{terminals: person}, 2, nil},        // no terminal
		{[]string{"logout", "ci"}, shell{}, 0, []string{"POST /v1/profiles/ci/logout"}},
		{[]string{"logout"}, shell{env: map[string]string{"CSPCTL_PROFILE": "ci"}}, 0, []string{"POST /v1/profiles/ci/logout"}},
		{[]string{"logout"}, shell{}, 0, []string{"GET /v1/profile?name=", "POST /v1/profiles/prod/logout"}},
		{[]string{"logout", "--all"}, shell{}, 0, []string{"GET /v1/profiles", "POST /v1/profiles/prod/logout", "POST /v1/profiles/ci/logout"}},
	} {
		f := newAgent(t)
		f.profiles("prod", "ci")
		f.json("POST /v1/profiles/{name}/{verb}", struct{}{})
		f.json("DELETE /v1/profiles/{name}", struct{}{})
		c.sh.agent = f
		r := c.sh.run(t, c.args...)
		r.want(t, c.code)
		if got := f.asked(); !slices.Equal(got, c.want) {
			t.Errorf("%q: asked %q, want %q", c.args, got, c.want)
		}
		if r.stdout != "" {
			t.Errorf("%q: stdout is %q", c.args, r.stdout)
		}
		if slices.Contains(c.args, "rename") && f.body(c.want[0]) != `{"to":"build"}` {
			t.Errorf("%q: sent %q", c.args, f.body(c.want[0]))
		}
	}
}

func TestProfileUseSaysWhatGoesBeforeIt(t *testing.T) {
	f := newAgent(t)
	f.json("POST /v1/profiles/{name}/use", struct{}{})
	shell{agent: f, env: map[string]string{"CSPCTL_PROFILE": "other"}}.run(t, "profile", "use", "ci").want(t, 0, "warning: CSPCTL_PROFILE")
}

func TestLogoutWithoutADefault(t *testing.T) {
	f := newAgent(t)
	f.profiles()
	shell{agent: f}.run(t, "logout").want(t, 3, "there is no profile yet")
}

// One profile that fails keeps none of the others logged in.
func TestLogoutAllGoesOn(t *testing.T) {
	f := newAgent(t)
	f.profiles("a", "b", "c")
	f.mux.HandleFunc("POST /v1/profiles/{name}/logout", func(w http.ResponseWriter, r *http.Request) {
		switch r.PathValue("name") {
		case "a":
			sendJSON(w, 503, ipc.Error{Code: ipc.CodeStoreLocked, Message: "the keychain is locked"})
		case "b":
			sendJSON(w, 409, ipc.Error{Code: ipc.CodeNotLoggedIn, Message: "not logged in"})
		default:
			sendJSON(w, 200, struct{}{})
		}
	})
	shell{agent: f}.run(t, "logout", "--all").want(t, 8, "error: profile a: the keychain is locked")
	if n := len(f.asked()); n != 4 {
		t.Errorf("asked %q", f.asked())
	}
}

func TestSocketStartsNothing(t *testing.T) {
	path := freePath(t)
	r := shell{env: map[string]string{"CSP_AGENT_SOCK": path}}.run(t, "socket")
	r.want(t, 0)
	if r.stdout != path+"\n" {
		t.Errorf("got %q", r.stdout)
	}
}

func TestVersion(t *testing.T) {
	f := newAgent(t)
	f.says("0.0.9")
	for _, args := range [][]string{{"version"}, {"--version"}} {
		r := shell{agent: f}.run(t, args...)
		r.want(t, 0)
		if !strings.HasPrefix(r.stdout, "cspctl "+ipc.Version+" (") || !strings.HasSuffix(r.stdout, "agent  0.0.9\n") {
			t.Errorf("got %q", r.stdout)
		}
	}
	r := shell{agent: f}.run(t, "version", "-o", "json")
	var got map[string]any
	if err := json.Unmarshal([]byte(r.stdout), &got); err != nil || got["version"] != ipc.Version || got["agent"] != "0.0.9" || got["schema"] != 1.0 {
		t.Errorf("%v: %s", err, r.stdout)
	}
	if r := (shell{}).run(t, "version"); r.code != 0 || strings.Contains(r.stdout, "agent") {
		t.Errorf("without an agent: %+v", r)
	}
}
