package main

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
)

func TestTokenForms(t *testing.T) {
	for _, c := range []struct {
		args []string
		env  map[string]string
		want string
	}{
		{nil, nil, aToken + "\n"},
		{[]string{"-o", "raw"}, nil, aToken + "\n"},
		{[]string{"-o", "header"}, nil, "csp-auth-token: " + aToken + "\n"},
		{[]string{"-o=bearer"}, nil, "Authorization: Bearer " + aToken + "\n"},
		{[]string{"-oenv"}, nil, "export CSP_AUTH='" + aToken + "'\n"},
		{[]string{"--var", "TOKEN_2"}, nil, "export TOKEN_2='" + aToken + "'\n"},
		{[]string{"--var=_t", "-o", "env"}, nil, "export _t='" + aToken + "'\n"},
		{[]string{"-o", "exec-credential"}, nil, `{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","spec":{"interactive":false},` +
			`"status":{"expirationTimestamp":"2026-05-04T12:30:00Z","token":"` + aToken + `"}}` + "\n"},
		{[]string{"-o", "exec-credential"}, map[string]string{"KUBERNETES_EXEC_INFO": `{"apiVersion":"client.authentication.k8s.io/v1beta1","kind":"ExecCredential","spec":{"interactive":false}}`},
			`{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1beta1","spec":{"interactive":false},` +
				`"status":{"expirationTimestamp":"2026-05-04T12:30:00Z","token":"` + aToken + `"}}` + "\n"},
	} {
		f := newAgent(t)
		f.token(nil)
		r := shell{agent: f, env: c.env}.run(t, append([]string{"token"}, c.args...)...)
		r.want(t, 0)
		if r.stdout != c.want || r.stderr != "" {
			t.Errorf("%q: got %q and %q, want %q", c.args, r.stdout, r.stderr, c.want)
		}
	}
}

func TestTokenJSON(t *testing.T) {
	f := newAgent(t)
	f.token(map[string]string{ipc.HeaderWarning: "the API token expires soon", ipc.HeaderWarningStage: "3d"})
	r := shell{agent: f}.run(t, "token", "-o", "json")
	r.want(t, 0)
	var got map[string]any
	if err := json.Unmarshal([]byte(r.stdout), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"schema": 1.0, "access_token": aToken, "token_type": "Bearer", "kind": "access", "profile": "prod", "provider": "csp",
		"expires_at": "2026-05-04T12:30:00Z", "expires_in": 1800.0}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s is %v, want %v", k, got[k], v)
		}
	}
	if w, _ := got["warning"].(map[string]any); w["stage"] != "3d" || w["message"] != "the API token expires soon" {
		t.Errorf("warning: %v", got["warning"])
	}
	if len(got) != len(want)+1 {
		t.Errorf("unknown fields: %v", got)
	}
}

func TestTokenRequests(t *testing.T) {
	for _, c := range []struct {
		args []string
		env  map[string]string
		want string
	}{
		{nil, nil, "GET /v1/token?kind=access&warnings=off"},
		{[]string{"prod"}, nil, "GET /v1/token?profile=prod&kind=access&warnings=off"},
		{nil, map[string]string{"CSPCTL_PROFILE": "ci"}, "GET /v1/token?profile=ci&kind=access&warnings=off"},
		{[]string{"prod"}, map[string]string{"CSPCTL_PROFILE": "ci"}, "GET /v1/token?profile=prod&kind=access&warnings=off"},
		{[]string{"--fresh", "--kind", "id"}, nil, "GET /v1/token?kind=id&fresh=true&warnings=off"},
		{[]string{"--min-ttl=1d2h", "prod"}, nil, "GET /v1/token?profile=prod&min_ttl=1d2h&kind=access&warnings=off"},
		{[]string{"--min-ttl", "20m", "--", "prod"}, nil, "GET /v1/token?profile=prod&min_ttl=20m&kind=access&warnings=off"},
	} {
		f := newAgent(t)
		f.token(nil)
		shell{agent: f, env: c.env}.run(t, append([]string{"token"}, c.args...)...).want(t, 0)
		if got := f.asked(); !slices.Equal(got, []string{c.want}) {
			t.Errorf("%q: asked %q, want %q", c.args, got, c.want)
		}
	}
}

// The passcode must not be in a query, which ends up in logs.
func TestTokenPasscodeGoesInTheBody(t *testing.T) {
	f := newAgent(t)
	f.token(nil)
	shell{agent: f}.run(t, "token", "--passcode", "123456").want(t, 0)
	if got := f.body("POST /v1/token"); !strings.Contains(got, `"passcode":"123456"`) {
		t.Errorf("asked %q with %q", f.asked(), got)
	}
}

func TestTokenIsInteractiveOnlyWithAPerson(t *testing.T) {
	exec := map[string]string{"KUBERNETES_EXEC_INFO": `{"spec":{"interactive":false}}`}
	for _, c := range []struct {
		terminals [3]bool
		env       map[string]string
		output    string
		want      bool
	}{
		{[3]bool{}, nil, "raw", false},
		{[3]bool{false, true, false}, nil, "raw", false},
		{[3]bool{true, false, false}, nil, "raw", true},
		{[3]bool{false, false, true}, nil, "raw", true},
		{[3]bool{true, true, true}, exec, "exec-credential", false},
		{[3]bool{true, true, true}, nil, "exec-credential", true},
	} {
		f := newAgent(t)
		f.token(nil)
		shell{agent: f, terminals: c.terminals, env: c.env}.run(t, "token", "-o", c.output).want(t, 0)
		if got := strings.Contains(f.asked()[0], "interactive=true"); got != c.want {
			t.Errorf("%v: interactive is %v", c, got)
		}
	}
}

func TestTokenUsageErrors(t *testing.T) {
	for _, c := range []struct {
		args []string
		env  map[string]string
		want string
	}{
		{[]string{"-o", "jsn"}, nil, "did you mean: json"},
		{[]string{"-o", "yaml"}, nil, "not one of raw, json"},
		{[]string{"-o"}, nil, "-o needs a value"},
		{[]string{"--fesh"}, nil, "did you mean: --fresh"},
		{[]string{"--min-ttl", "5"}, nil, "--min-ttl: not a duration"},
		{[]string{"--min-ttl", "-5m"}, nil, "--min-ttl: not a duration"},
		{[]string{"--passcode", "12345"}, nil, "six digits"},
		{[]string{"--passcode", "12345x"}, nil, "six digits"},
		{[]string{"--fresh=perhaps"}, nil, "--fresh"},
		{[]string{"--var", "1A"}, nil, "not a name that a shell takes"},
		{[]string{"--var", "A B"}, nil, "not a name that a shell takes"},
		{[]string{"--var", "A", "-o", "raw"}, nil, "--var goes with -o env alone"},
		{[]string{"a", "b"}, nil, "too many arguments"},
		{[]string{"../x"}, nil, "hint: use 1 to 64 letters"},
		{nil, map[string]string{"CSPCTL_PROFILE": "a/b"}, "CSPCTL_PROFILE: "},
		{[]string{"-o", "exec-credential"}, map[string]string{"KUBERNETES_EXEC_INFO": `{"apiVersion":"client.authentication.k8s.io/v1alpha1"}`}, `"v1alpha1"`},
		{[]string{"-o", "exec-credential"}, map[string]string{"KUBERNETES_EXEC_INFO": "{"}, "KUBERNETES_EXEC_INFO is not"},
	} {
		f := newAgent(t)
		f.token(nil)
		shell{agent: f, env: c.env}.run(t, append([]string{"token"}, c.args...)...).want(t, 2, c.want)
		if got := f.asked(); len(got) > 0 {
			t.Errorf("%q: asked the agent: %q", c.args, got)
		}
	}
}

func TestTokenHeaderIsForCSPAlone(t *testing.T) {
	for provider, code := range map[string]int{"csp": 0, "csp-app": 0, "vcd": 2, "vcd-session": 2} {
		f := newAgent(t)
		f.token(map[string]string{ipc.HeaderProvider: provider})
		r := shell{agent: f}.run(t, "token", "-o", "header")
		r.want(t, code)
		if code == 2 {
			r.want(t, 2, "hint: use -o bearer")
		}
	}
}

// Whether somebody looks on is known here; what was said already, the agent
// knows. What it says is printed, unless nothing was to be heard.
func TestTokenWarnings(t *testing.T) {
	onTerminal := [3]bool{2: true}
	for _, c := range []struct {
		terminals [3]bool
		flag, env string
		want      string // of the agent
	}{
		{onTerminal, "", "", "auto"},
		{[3]bool{0: true, 1: true}, "", "", "off"},
		{[3]bool{}, "always", "", "always"},
		{[3]bool{}, "", "always", "always"},
		{onTerminal, "off", "", "off"},
		{onTerminal, "", "off", "off"},
		{onTerminal, "always", "off", "always"},
		{onTerminal, "off", "always", "off"},
		{[3]bool{}, "auto", "always", "off"},
	} {
		for _, form := range []string{"raw", "json"} {
			f := newAgent(t)
			f.token(map[string]string{ipc.HeaderWarning: "the API token expires soon", ipc.HeaderWarningStage: "3d"}) // asked for or not
			args := []string{"token", "-o", form}
			if c.flag != "" {
				args = append(args, "--warnings", c.flag)
			}
			r := shell{agent: f, terminals: c.terminals, env: map[string]string{"CSPCTL_WARNINGS": c.env}}.run(t, args...)
			r.want(t, 0)
			if got := f.asked()[0]; !strings.HasSuffix(got, "&warnings="+c.want) {
				t.Errorf("%+v: asked %q", c, got)
			}
			if said := strings.Contains(r.stderr, "the API token expires soon"); said != (c.want != "off") || !said && r.stderr != "" {
				t.Errorf("%+v: stderr is %q", c, r.stderr)
			}
			if form == "raw" && r.stdout != aToken+"\n" {
				t.Errorf("%+v: stdout is %q", c, r.stdout)
			}
		}
	}
}

func TestTokenWithAPasscodeSaysWhoLooksOn(t *testing.T) {
	f := newAgent(t)
	f.token(nil)
	shell{agent: f, terminals: [3]bool{2: true}}.run(t, "token", "--passcode", "123456").want(t, 0)
	if got := f.body("POST /v1/token"); !strings.Contains(got, `"warnings":"auto"`) {
		t.Errorf("sent %s", got)
	}
}

func TestTokenBadWarningsSettingCostsNoToken(t *testing.T) {
	f := newAgent(t)
	f.token(nil)
	r := shell{agent: f, env: map[string]string{"CSPCTL_WARNINGS": "loud"}}.run(t, "token")
	r.want(t, 0, "warning: CSPCTL_WARNINGS")
	if r.stdout != aToken+"\n" {
		t.Errorf("stdout is %q", r.stdout)
	}
}

// P3: a result that can't be written whole is a failure that says so.
func TestP3StdoutThatCantBeWritten(t *testing.T) {
	f := newAgent(t)
	f.token(nil)
	shell{agent: f, stdout: brokenWriter{}}.run(t, "token").want(t, 1, "error: can't write to stdout: no space left")
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestTokenFormEscapesForTheShell(t *testing.T) {
	r := ipc.TokenReply{Token: secretText("a'b"), ExpiresAt: noon.Add(time.Hour)}
	got, err := formatToken(r, tokenOptions{output: "env"}, "")
	if err != nil || got != `export CSP_AUTH='a'\''b'`+"\n" {
		t.Errorf("got %q, %v", got, err)
	}
	for _, bad := range []string{"", "a b", "a\nb", "a\x00", "ä"} {
		r.Token = secretText(bad)
		if got, err := formatToken(r, tokenOptions{output: "raw"}, ""); err == nil || got != "" {
			t.Errorf("%q was accepted as a token: %q", bad, got)
		}
	}
}
