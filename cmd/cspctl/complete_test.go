package main

import (
	"strings"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
)

func TestComplete(t *testing.T) {
	f := newAgent(t)
	f.profiles("prod", "pre-prod", "ci", "bad name;rm")
	f.json("GET /v1/tools", ipc.Tools{Tools: []ipc.Tool{{Name: "vib"}, {Name: "vdk"}, {Name: "x;rm"}}})
	for _, c := range []struct {
		words string // the last one is the current one, "_" stands for an empty one
		want  string // the candidates without their descriptions
	}{
		{"=", "login token exec env curl expiry details inspect status profile logout lock unlock sink open kubeconfig doctor socket version completion help"},
		{"=to", "token"},
		{"=-", "--help"},
		{"token =", "prod pre-prod ci"},
		{"token =pr", "prod pre-prod"},
		{"token prod =", ""},
		{"token -- =", "prod pre-prod ci"},
		{"token -- =-", ""},
		{"token --fr =", "prod pre-prod ci"},
		{"token --fresh =p", "prod pre-prod"},
		{"token =--f", "--fresh"},
		{"token prod =--m", "--min-ttl"},
		{"token -o =", "raw json header bearer env exec-credential"},
		{"token -o =j", "json"},
		{"token =-o=j", "-o=json"},
		{"curl =p", "prod pre-prod"},
		{"curl --auth =", "header bearer"},
		{"token =--kind=", "--kind=access --kind=id --kind=proxy"},
		{"token --kind = =", "access id proxy"}, // bash splits at =
		{"token --kind = =i", "id"},
		{"token --kind ==", "access id proxy"},
		{"token --min-ttl =", ""},
		{"token --min-ttl 5m =c", "ci"},
		{"token --nonsense=x =c", "ci"},
		{"login --token-file =/t", ":file"},
		{"login =--ca-file=/t", ":file"},
		{"login --store =", "keychain file memory"},
		{"profile =", "list show use rename remove"},
		{"profile r =", ""},
		{"profile =r", "rename remove"},
		{"profile use =c", "ci"},
		{"profile rename =c", "ci"},
		{"profile rename ci =", ""},
		{"help =pro", "profile"},
		{"help profile =u", "use"},
		{"help profile use =", ""},
		{"completion =", "bash zsh fish powershell"},
		{"exec --for =", "vib vdk list"},
		{"exec --for =vi", "vib"},
		{"exec =--for=vd", "--for=vdk"},
		{"exec =p", "prod pre-prod"},
		{"exec prod --for vib -- terra =", ":file"},
		{"exec prod -- =-", ":file"},
		{"exec --env =", ""},
		{"env --for =", "vib vdk"},
		{"env --shell =f", "fish"},
		{"nonsense =", ""},
		{"socket =", ""},
		{"no current word", ""},
		{"", ""},
	} {
		r := shell{agent: f}.run(t, append([]string{"__complete"}, strings.Fields(c.words)...)...)
		r.want(t, 0)
		var got []string
		for line := range strings.Lines(r.stdout) {
			word, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
			got = append(got, word)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%q: got %q, want %q", c.words, got, c.want)
		}
		if r.stderr != "" {
			t.Errorf("%q: stderr is %q", c.words, r.stderr)
		}
	}
}

func TestCompleteNeedsNoAgent(t *testing.T) {
	r := shell{env: map[string]string{"CSPCTL_AUTOSTART": ""}}.run(t, "__complete", "token", "=")
	if r.code != 0 || r.stdout != "" || r.stderr != "" {
		t.Errorf("%+v", r)
	}
}

func TestCompleteDoesNotWaitForASlowAgent(t *testing.T) {
	f := newAgent(t)
	f.mux.HandleFunc("GET /v1/profiles", stall(t))
	start := time.Now()
	r := shell{agent: f}.run(t, "__complete", "token", "=")
	if d := time.Since(start); d > 5*time.Second || r.code != 0 || r.stdout != "" {
		t.Errorf("%v: %+v", d, r)
	}
}

func TestCompletionScripts(t *testing.T) {
	for _, name := range shells {
		r := shell{}.run(t, "completion", name)
		r.want(t, 0)
		if !strings.Contains(r.stdout, "__complete") || !strings.Contains(r.stdout, completeFile) {
			t.Errorf("%s: %q", name, r.stdout)
		}
	}
}

func TestClosest(t *testing.T) {
	names := []string{"token", "login", "logout", "status", "min-ttl", "o"}
	for word, want := range map[string]string{"tokn": "token", "toekn": "token", "logn": "login", "stauts": "status", "min-tll": "min-ttl",
		"x": "", "": "", "open": "", "lo": "", strings.Repeat("token", 20): ""} {
		if got := closest(word, names); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}
