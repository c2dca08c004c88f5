package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/term"
)

var aSecret = strings.Repeat("Secret-", 9)

// accept answers PUT for every profile with a login that succeeded.
func (f *fakeAgent) accept() {
	end := noon.Add(40 * 24 * time.Hour)
	f.mux.HandleFunc("PUT /v1/profiles/{name}", func(w http.ResponseWriter, r *http.Request) {
		sendJSON(w, 200, ipc.LoginResult{Verified: true, Profile: ipc.Profile{Name: r.PathValue("name"), Username: "jane@example.com",
			Org: "acme", Server: "https://console.cloud.vmware.com", APIToken: &ipc.Expiry{ExpiresAt: &end}}})
	})
}

func (f *fakeAgent) login(t *testing.T, name string) ipc.LoginRequest {
	t.Helper()
	var req ipc.LoginRequest
	if err := json.Unmarshal([]byte(f.body("PUT /v1/profiles/"+name)), &req); err != nil {
		t.Fatalf("asked %q: %v", f.asked(), err)
	}
	return req
}

func TestLoginAsksAndSaysWhoseItIs(t *testing.T) {
	f := newAgent(t)
	f.profiles()
	f.accept()
	tty := &fakeTTY{secret: aSecret}
	r := shell{agent: f, tty: tty, terminals: [3]bool{true, true, true}}.run(t, "login")
	r.want(t, 0, "jane@example.com", "acme", "expires in 40d (2026-06-13 12:00 UTC)")
	if r.stdout != "" {
		t.Errorf("stdout is %q", r.stdout)
	}
	if !slices.Equal(tty.questions, []string{"API token for profile default: "}) {
		t.Errorf("asked %q", tty.questions)
	}
	if req := f.login(t, "default"); req.Secret.Reveal() != aSecret || !req.Interactive {
		t.Errorf("sent %+v", req)
	}
	if strings.Contains(r.stderr, aSecret) {
		t.Error("P1: the secret was printed")
	}
}

func TestLoginNames(t *testing.T) {
	for _, c := range []struct {
		exist []string
		args  []string
		env   string
		want  string
	}{
		{nil, nil, "", "default"},
		{[]string{"prod", "ci"}, nil, "", "prod"},
		{[]string{"prod", "ci"}, nil, "ci", "ci"},
		{[]string{"prod", "ci"}, []string{"new"}, "ci", "new"},
	} {
		f := newAgent(t)
		f.profiles(c.exist...)
		f.accept()
		args := append([]string{"login", "--token-file", "-"}, c.args...)
		shell{agent: f, stdin: aSecret, env: map[string]string{"CSPCTL_PROFILE": c.env}}.run(t, args...).want(t, 0, "profile "+c.want)
		f.login(t, c.want)
	}
}

func TestLoginSendsItsFlags(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	f := newAgent(t)
	f.profiles()
	f.accept()
	shell{agent: f}.run(t, "login", "p", "--provider", "vcd", "--server", "https://vcd.example.com", "--org", "o", "--client-id", "c",
		"--user", "u", "--token-file", write("token", "\uFEFF"+aSecret+"\r\n"), "--store", "file", "--ca-file", write("ca", "PEM\n"),
		"--scope", "a,b c", "--resource-scope-file", write("rs", "{}"), "--passcode", "123456", "--default", "--replace", "--no-verify").want(t, 0)
	got := f.login(t, "p")
	if got.Secret.Reveal() != aSecret || got.Passcode.Reveal() != "123456" || got.CA != "PEM\n" || got.ResourceScope != "{}" ||
		!slices.Equal(got.Scope, []string{"a", "b", "c"}) {
		t.Errorf("sent %+v", got)
	}
	if got.Provider != "vcd" || got.Server != "https://vcd.example.com" || got.Org != "o" || got.ClientID != "c" || got.User != "u" ||
		got.Store != "file" || !got.Default || !got.Replace || !got.NoVerify || got.Interactive {
		t.Errorf("sent %+v", got)
	}
}

func TestLoginAsksForWhatTheProviderNeeds(t *testing.T) {
	for provider, want := range map[string]string{"": "API token", "csp": "API token", "csp-app": "client secret", "vcd": "API token", "vcd-session": "password"} {
		f := newAgent(t)
		f.profiles()
		f.accept()
		tty := &fakeTTY{secret: aSecret}
		args := []string{"login"}
		if provider != "" {
			args = append(args, "--provider", provider)
		}
		shell{agent: f, tty: tty}.run(t, args...).want(t, 0)
		if !strings.HasPrefix(tty.questions[0], want+" ") {
			t.Errorf("%s: asked %q", provider, tty.questions)
		}
	}
}

// P1: a secret in an argument is refused, and not repeated.
func TestP1LoginRefusesSecretsInArguments(t *testing.T) {
	secretArg := strings.Repeat("Ab3_", 16)
	for _, args := range [][]string{{"login", "prod", secretArg}, {"login", secretArg}, {"login", secretArg, "prod"}, {"login", secretArg + "x"}} {
		f := newAgent(t)
		f.profiles("prod")
		f.accept()
		r := shell{agent: f, tty: &fakeTTY{secret: aSecret}}.run(t, args...)
		r.want(t, 2)
		if strings.Contains(r.stderr, secretArg) {
			t.Errorf("%q: the argument is repeated: %s", args, r.stderr)
		}
		if slices.ContainsFunc(f.asked(), func(s string) bool { return strings.Contains(s, secretArg) || strings.HasPrefix(s, "PUT") }) {
			t.Errorf("%q: sent to the agent: %q", args, f.asked())
		}
	}
	shell{}.run(t, "login", "a", "b").want(t, 2, "leaks")
}

func TestLoginInputErrors(t *testing.T) {
	big := filepath.Join(t.TempDir(), "big")
	if err := os.WriteFile(big, make([]byte, maxInput+1), 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(t.TempDir(), "none")
	notThere := strings.TrimSuffix(syscall.ENOENT.Error(), ".") + "\n"
	for _, c := range []struct {
		sh   shell
		args []string
		code int
		want string
	}{
		{shell{}, nil, 2, "hint: add --token-file FILE"},
		{shell{tty: &fakeTTY{}}, nil, 2, "the API token is empty"},
		{shell{tty: &fakeTTY{secret: " \n"}}, nil, 2, "the API token is empty"},
		{shell{tty: &fakeTTY{err: term.ErrInterrupted}}, nil, 1, "interrupted"},
		{shell{stdin: "\n"}, []string{"--token-file", "-"}, 2, "the API token is empty"},
		{shell{terminals: [3]bool{true, true, true}}, []string{"--token-file", "-"}, 2, "stdin is a terminal"},
		{shell{}, []string{"--token-file", big}, 2, "more than 64 KiB"},
		{shell{stdin: strings.Repeat("x", maxInput+1)}, []string{"--token-file", "-"}, 2, "more than 64 KiB"},
		{shell{}, []string{"--token-file", missing}, 2, "--token-file: " + notThere},
		{shell{stdin: aSecret}, []string{"--token-file", "-", "--ca-file", missing}, 2, "--ca-file: " + notThere},
		{shell{stdin: aSecret}, []string{"--token-file", "-", "--provider", "vdc"}, 2, "did you mean: vcd"},
		{shell{stdin: aSecret}, []string{"--token-file", "-", "--passcode", "1"}, 2, "six digits"},
	} {
		f := newAgent(t)
		f.profiles()
		f.accept()
		c.sh.agent = f
		c.sh.run(t, append([]string{"login"}, c.args...)...).want(t, c.code, c.want)
		if slices.ContainsFunc(f.asked(), func(s string) bool { return strings.HasPrefix(s, "PUT") }) {
			t.Errorf("%q: sent to the agent", c.args)
		}
	}
}

func TestLoginToAnotherOrg(t *testing.T) {
	person := [3]bool{true, true, true}
	for _, c := range []struct {
		name string
		sh   shell
		code int
		want string
		puts int
	}{
		{"yes", shell{tty: &fakeTTY{secret: aSecret, yes: true}, terminals: person}, 0, "replaced the API token of profile prod", 2},
		{"no", shell{tty: &fakeTTY{secret: aSecret}, terminals: person}, 2, "nothing was changed", 1},
		{"no person", shell{tty: &fakeTTY{secret: aSecret, yes: true}}, 2, "--replace", 1},
		{"no terminal", shell{stdin: aSecret}, 2, "--replace", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newAgent(t)
			f.profiles("prod")
			f.mux.HandleFunc("PUT /v1/profiles/prod", func(w http.ResponseWriter, r *http.Request) {
				if strings.Contains(f.body("PUT /v1/profiles/prod"), `"replace":true`) {
					sendJSON(w, 200, ipc.LoginResult{Verified: true, Profile: ipc.Profile{Name: "prod"}})
					return
				}
				sendJSON(w, 409, ipc.Error{Code: ipc.CodeOrgDiffers, Message: "the secret belongs to another org"})
			})
			args := []string{"login", "prod"}
			if c.sh.tty == nil {
				args = append(args, "--token-file", "-")
			}
			c.sh.agent = f
			c.sh.run(t, args...).want(t, c.code, c.want)
			puts := 0
			for _, s := range f.asked() {
				if strings.HasPrefix(s, "PUT") {
					puts++
				}
			}
			if puts != c.puts {
				t.Errorf("%d requests", puts)
			}
		})
	}
}

func TestLoginSaysWhatItReplaced(t *testing.T) {
	for _, c := range []struct {
		old  ipc.Profile
		want string
	}{
		{ipc.Profile{Provider: "csp"}, "cspctl: replaced the API token of profile prod, now of jane@example.com, org acme, at https"},
		{ipc.Profile{Provider: "vcd-session"}, "cspctl: replaced the password of profile prod, now of jane@example.com"},
		{ipc.Profile{Provider: "csp", LoggedOut: true}, "cspctl: logged in to profile prod as jane@example.com"},
	} {
		f := newAgent(t)
		c.old.Name = "prod"
		f.json("GET /v1/profile", c.old)
		f.accept()
		shell{agent: f, stdin: aSecret}.run(t, "login", "prod", "--token-file", "-").want(t, 0, c.want)
	}
}

// P9: without a keychain, the person chooses.
func TestP9LoginWithoutAKeychainIsAChoice(t *testing.T) {
	f := newAgent(t)
	f.profiles()
	f.refuse("PUT /v1/profiles/{name}", ipc.CodeStoreAbsent, "there is no keychain", "add --store file or --store memory")
	shell{agent: f, stdin: aSecret}.run(t, "login", "--token-file", "-").want(t, 8, "hint: add --store file or --store memory")
	if n := strings.Count(strings.Join(f.asked(), "\n"), "PUT"); n != 1 {
		t.Errorf("asked %q", f.asked())
	}
}

func TestLoginSaysWarnings(t *testing.T) {
	f := newAgent(t)
	f.profiles()
	f.json("PUT /v1/profiles/{name}", ipc.LoginResult{Profile: ipc.Profile{Name: "default"}, Warnings: []string{"it expires tomorrow"}})
	shell{agent: f, stdin: aSecret}.run(t, "login", "--token-file", "-").want(t, 0, "warning: it expires tomorrow", "not checked with the server")
}
