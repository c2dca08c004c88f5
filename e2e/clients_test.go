//go:build unix

package e2e_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/cspctl/cspctl/client"
)

// block is a fenced block of a document.
type block struct{ kind, text string }

func blocksOf(t *testing.T, doc string) (blocks []block) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../docs", doc))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?ms)^```([a-z -]+)\n(.*?)^```$").FindAllStringSubmatch(string(b), -1) {
		blocks = append(blocks, block{m[1], m[2]})
	}
	return blocks
}

// interpreters run the blocks of docs/clients.md: the command, whose stdin the
// block is, and what has to be at hand for it.
var interpreters = map[string]struct {
	has, run []string
	needs    string
	want     string // in what it prints
}{
	"sh":     {[]string{"curl", "--version"}, []string{"sh", "-e"}, "curl (Debian package curl)", "[]"},
	"python": {[]string{"python3", "--version"}, []string{"python3", "-"}, "python3 (Debian package python3)", ""},
	"python requests": {[]string{pythonWithRequests(), "-c", "import requests"}, []string{pythonWithRequests(), "-"},
		"python3 with requests (Debian package python3-requests)", "[]"},
	"js":         {[]string{"node", "--version"}, []string{"node", "-"}, "node (Debian package nodejs)", "the block has run"},
	"powershell": {[]string{"pwsh", "-Version"}, []string{"pwsh", "-NoProfile", "-NonInteractive", "-Command", "-"}, "pwsh (PowerShell 7)", ""},
	"yaml ansible": {[]string{"ansible-playbook", "--version"}, []string{"sh", "-c", "cat >play.yml && exec ansible-playbook play.yml"},
		"ansible-playbook (Debian package ansible-core)", "failed=0"},
	// The runner of GitLab has pipefail set, and Jenkins -xe.
	"yaml gitlab": {[]string{"curl", "--version"}, []string{"bash", "-eo", "pipefail"}, "curl (Debian package curl)", "[]"},
	"groovy":      {[]string{"curl", "--version"}, []string{"sh", "-xe"}, "curl (Debian package curl)", "[]"},
}

// pythonWithRequests is the first Python on PATH, or the system's, which has what
// its packages bring.
func pythonWithRequests() string {
	if exec.Command("python3", "-c", "import requests").Run() == nil { //nolint:noctx // it ends by itself
		return "python3"
	}
	return "/usr/bin/python3"
}

// docs/clients.md is true: its blocks run as they stand, by the interpreter
// that each is for, and no API token is in what they print.
func TestEveryBlockOfClientsRuns(t *testing.T) {
	w, secrets := newOffice(t)
	w.url = "https://console.cloud.vmware.com"
	for profile, account := range map[string]string{"prod": "prod", "build": "lab"} {
		if err := os.WriteFile(filepath.Join(w.dir, account+".token"), []byte(secrets[account]), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := w.login(profile, account+".token"); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	module, err := filepath.Abs("../packaging/powershell")
	if err != nil {
		t.Fatal(err)
	}
	env := append(slices.Clone(w.env), "REQUESTS_CA_BUNDLE="+w.dir+"/roots.pem", "NODE_EXTRA_CA_CERTS="+w.dir+"/roots.pem",
		"NODE_USE_ENV_PROXY=1", "PSModulePath="+module, "ANSIBLE_LOCALHOST_WARNING=False", "ANSIBLE_INVENTORY_UNPARSED_WARNING=False", "PYTHONWARNINGS=ignore")
	ran := map[string]int{}
	for _, b := range blocksOf(t, "clients.md") {
		if b.kind == "go" { // the examples of package client are run
			continue
		}
		t.Run(b.kind, func(t *testing.T) {
			ran[b.kind]++
			how, ok := interpreters[b.kind]
			if !ok {
				t.Fatal("nobody runs these")
			}
			if strings.HasPrefix(b.kind, "yaml") {
				if err := yaml.Unmarshal([]byte(b.text), new(any)); err != nil {
					t.Fatal(err)
				}
			}
			has := exec.CommandContext(t.Context(), how.has[0], how.has[1:]...)
			if err := has.Run(); err != nil {
				t.Skip("needs " + how.needs)
			}
			run := exec.CommandContext(t.Context(), how.run[0], how.run[1:]...)
			run.Env, run.Dir, run.Stdin = env, w.dir, strings.NewReader(runnable(t, b))
			out, err := run.CombinedOutput()
			if err != nil || !strings.Contains(string(out), how.want) {
				t.Errorf("%v: %s\n%s", err, out, b.text)
			}
			for name, secret := range secrets {
				if strings.Contains(string(out), secret) {
					t.Errorf("the secret of %s was shown: %s", name, out)
				}
			}
			if strings.Contains(string(out), "eyJ") {
				t.Errorf("an access token was shown: %s", out)
			}
		})
	}
	for kind := range interpreters {
		if ran[kind] == 0 {
			t.Errorf("no block of %s was found", kind)
		}
	}
}

// runnable is what an interpreter gets: of a job's description its commands, of
// a definition the call that readers make by themselves.
func runnable(t *testing.T, b block) string {
	t.Helper()
	find := ""
	switch b.kind {
	case "js":
		return b.text + `
if (cspToken("prod").split(".").length !== 3) throw new Error("no token");
if (typeof orgs !== "function") throw new Error("orgs");
console.log("the block has run");
`
	case "yaml gitlab":
		find = `(?m)^    - (.*)$`
	case "groovy":
		find = `(?m)^ *sh '(.*)'$`
	default:
		return b.text
	}
	lines := regexp.MustCompile(find).FindAllStringSubmatch(b.text, -1)
	if len(lines) == 0 {
		t.Fatal("there is no command in it")
	}
	script := ""
	for _, l := range lines {
		script += l[1] + "\n"
	}
	return script
}

// The client package and a real agent: a token that the server takes, one that
// it refuses and of which there is no younger one, and an agent that is gone.
func TestGoClient(t *testing.T) {
	w := served(t, []string{"prod"}, nil)
	w.mustLogin(t)
	requests, refuse := 0, false
	api := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if requests++; refuse || strings.Count(r.Header.Get("csp-auth-token"), ".") != 2 {
			rw.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(api.Close)
	u, err := url.Parse(api.URL)
	if err != nil {
		t.Fatal(err)
	}
	c := client.New(client.Options{Profile: "prod", Socket: filepath.Join(w.run, "csp-agent/agent.sock"), NoStart: true})
	hc := &http.Client{Transport: &client.Transport{Client: c, Header: client.CSPAuthToken, Hosts: []string{u.Host}, Base: api.Client().Transport}}
	get := func(want int) {
		t.Helper()
		before := requests
		resp, err := hc.Get(api.URL)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want || requests != before+1 {
			t.Errorf("%s after %d requests", resp.Status, requests-before)
		}
	}
	get(200)
	refuse = true
	get(401)

	token, err := c.Token(t.Context())
	if left := time.Until(token.Expiry); err != nil || left < 5*time.Minute || left > 31*time.Minute {
		t.Errorf("%v left, %v", left, err)
	}
	if n, err := w.exchanges(); err != nil || n > 2 { // one of the login's, one more at most
		t.Errorf("%d exchanges, %v", n, err)
	}
	_, err = client.New(client.Options{Profile: "nobody", Socket: filepath.Join(w.run, "csp-agent/agent.sock")}).Token(t.Context())
	if e, ok := errors.AsType[*client.Error](err); !ok || e.Code != "no_such_profile" || e.ExitCode() != 3 || e.Hint == "" {
		t.Errorf("%#v", err)
	}
	w.agent.stop(syscall.SIGTERM)
	if _, err = hc.Get(api.URL); err == nil {
		t.Error("there is no agent, and yet a request was made")
	}
	if e, ok := errors.AsType[*client.Error](err); !ok || e.ExitCode() != 6 {
		t.Errorf("%v", err)
	}
}
