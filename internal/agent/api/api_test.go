package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/agent"
	"github.com/cspctl/cspctl/internal/agent/api"
	"github.com/cspctl/cspctl/internal/bootclock"
	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/keychain"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
)

// apiToken and accessToken are what no reply but one to a token request holds.
const apiToken, accessToken = "long-lived-secret", "short-lived-token"

// upstream gives everybody the same token.
type upstream struct{}

func (upstream) Origin(string) (string, error)             { return "https://csp.example", nil }
func (upstream) CheckSecret(s string) (secret.Text, error) { return secret.New(s), nil }
func (upstream) CloseIdle()                                {}
func (upstream) Exchange(context.Context, provider.Credential, provider.Request) (provider.Token, error) {
	return provider.Token{Access: secret.New(accessToken), Type: "Bearer", ExpiresIn: 1799 * time.Second}, nil
}
func (upstream) Details(context.Context, provider.Credential) (provider.Details, error) {
	return provider.Details{OrgID: "org", TokenName: "build\r\nInjected: yes", Expiry: provider.Expiry{Known: true, At: time.Now().Add(48 * time.Hour)}}, nil
}

type noFile struct{}

func (noFile) Path() string          { return "state.json" }
func (noFile) Read() ([]byte, error) { return nil, nil }
func (noFile) Write([]byte) error    { return nil }
func (noFile) Lock() (func(), error) { return func() {}, nil }

// newServer is the API of an agent with one profile, prod.
func newServer(t testing.TB, role api.Role, change ...func(*api.Options)) *api.Server {
	a, err := agent.New(agent.Options{
		Providers: map[string]agent.Provider{provider.CSP: upstream{}},
		Stores:    map[string]agent.Store{provider.Memory: keychain.NewMemory()},
		State:     noFile{}, Clock: bootclock.Clock{},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	if _, err := a.Login(t.Context(), "prod", ipc.LoginRequest{Secret: secret.NewWire(apiToken), Store: provider.Memory}); err != nil {
		t.Fatal(err)
	}
	o := api.Options{Agent: a, Role: role}
	for _, f := range change {
		f(&o)
	}
	return api.New(o)
}

func ask(s http.Handler, method, target, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = ipc.Host
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func codeOf(t *testing.T, w *httptest.ResponseRecorder) ipc.Code {
	t.Helper()
	var e ipc.Error
	if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil {
		t.Errorf("not JSON: %q", w.Body)
	}
	return e.Code
}

func TestTokenInBothForms(t *testing.T) {
	s := newServer(t, api.Owner)
	w := ask(s, "GET", "/v1/token?profile=prod", "")
	var tok ipc.Token
	if err := json.Unmarshal(w.Body.Bytes(), &tok); err != nil || w.Code != 200 {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	if tok.AccessToken.Reveal() != accessToken || tok.TokenType != "Bearer" || tok.Profile != "prod" || tok.ExpiresIn < 1790 {
		t.Errorf("got %+v", tok)
	}
	w = ask(s, "GET", "/v1/token", "", "Accept", "text/plain")
	if w.Body.String() != accessToken+"\n" || w.Header().Get(ipc.HeaderProfile) != "prod" || w.Header().Get(ipc.HeaderExpiresAt) != tok.ExpiresAt.Format(time.RFC3339) {
		t.Errorf("got %q, %v", w.Body, w.Header())
	}
	if got := w.Header().Get(ipc.HeaderWarning); got == "" || strings.ContainsAny(got, "\r\n") || w.Header().Get("Injected") != "" {
		t.Errorf("warning %q", got)
	}
	for _, w := range []*httptest.ResponseRecorder{w, ask(s, "GET", "/v1/nothing", "")} {
		if w.Header().Get(ipc.HeaderVersion) == "" || w.Header().Get("Content-Length") == "" {
			t.Errorf("headers: %v", w.Header())
		}
	}
}

// A query that can't be read is for no profile, the default one included.
func TestQueryThatCannotBeRead(t *testing.T) {
	s := newServer(t, api.Owner)
	for _, query := range []string{"profile=prod;x=1", "profile=prod%zz", "profile=%"} {
		r := httptest.NewRequest("GET", "/v1/token", nil)
		r.URL.RawQuery, r.Host = query, ipc.Host
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != 400 || !strings.Contains(w.Body.String(), string(ipc.CodeBadRequest)) {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
	}
}

// Every route, by every role: what is not listed is refused.
func TestRoles(t *testing.T) {
	allowed := map[api.Role][]string{
		api.Owner:   {"GET /v1/token", "POST /v1/token", "POST /v1/runs", "GET /v1/status", "GET /v1/profiles", "GET /v1/profiles/prod", "GET /v1/profiles/prod/details", "GET /v1/profiles/prod/inspect", "GET /v1/profile", "GET /v1/expiry", "GET /v1/events", "GET /v1/tools", "GET /v1/hosts", "GET /metrics", "PUT /v1/profiles/new", "POST /v1/profiles/prod/use", "POST /v1/lock", "POST /v1/unlock"},
		api.Token:   {"GET /v1/token", "POST /v1/token", "POST /v1/runs", "GET /v1/profiles", "GET /v1/tools", "GET /v1/hosts"},
		api.Observe: {"GET /v1/status", "GET /v1/expiry", "GET /v1/events", "GET /metrics"},
	}
	all := append(allowed[api.Owner], "DELETE /v1/profiles/new", "POST /v1/profiles/new/logout", "POST /v1/profiles/new/rename")
	for role, may := range allowed {
		s := newServer(t, role)
		for _, route := range all {
			method, path, _ := strings.Cut(route, " ")
			w := ask(s, method, path, "{}")
			refused := w.Code == http.StatusForbidden && codeOf(t, w) == ipc.CodeNotAllowed
			if want := role != api.Owner && !slices.Contains(may, route); refused != want {
				t.Errorf("role %d, %s: refused %v, want %v", role, route, refused, want)
			}
		}
	}
}

func TestWrongHostAndPathsAreRefused(t *testing.T) {
	s := newServer(t, api.Owner)
	for _, host := range []string{"localhost", "agent:80", "evil.example", "", "AGENT."} {
		r := httptest.NewRequest("GET", "/v1/token", nil)
		r.Host = host
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != http.StatusForbidden || strings.Contains(w.Body.String(), accessToken) {
			t.Errorf("host %q: %d", host, w.Code)
		}
	}
	for _, bad := range []string{
		"GET /", "GET /v2/token", "DELETE /v1/token", "GET /v1/profiles/a/b/c", "PATCH /v1/profiles/prod",
		"GET //v1/token", "GET /v1//token", "GET /v1/token/", "GET /v1/./token", "GET /v1/x/../token", "GET /v1/x/%2e%2e/token",
	} {
		method, path, _ := strings.Cut(bad, " ")
		if w := ask(s, method, "http://agent"+path, ""); w.Code != http.StatusNotFound || codeOf(t, w) != ipc.CodeNotFound || w.Header().Get(ipc.HeaderVersion) == "" {
			t.Errorf("%s: %d", bad, w.Code)
		}
	}
}

func TestBadRequests(t *testing.T) {
	s := newServer(t, api.Owner)
	for _, c := range []struct {
		request, body string
		status        int
		code          ipc.Code
	}{
		{"GET /v1/token?min_ttl=soon", "", 400, ipc.CodeBadRequest},
		{"GET /v1/token?fresh=perhaps", "", 400, ipc.CodeBadRequest},
		{"GET /v1/token?kind=gold", "", 400, ipc.CodeBadRequest},
		{"GET /v1/token?profile=..%2Fx", "", 400, ipc.CodeBadProfileName},
		{"GET /v1/token?profile=nobody", "", 404, ipc.CodeNoSuchProfile},
		{"GET /v1/token?min_ttl=1h", "", 409, ipc.CodeMinTTL},
		{"GET /v1/expiry?profile=nobody", "", 404, ipc.CodeNoSuchProfile},
		{"GET /v1/expiry?profile=prod&profile=..%2Fx", "", 400, ipc.CodeBadProfileName},
		{"GET /v1/profiles/nobody/details", "", 404, ipc.CodeNoSuchProfile},
		{"GET /v1/profiles/nobody/inspect?interactive=true", "", 404, ipc.CodeNoSuchProfile},
		{"GET /v1/token?passcode=123456", "", 400, ipc.CodeBadRequest},
		{"GET /v1/token?scope=a", "", 400, ipc.CodeBadRequest},
		{"POST /v1/token", "{", 400, ipc.CodeBadRequest},
		{"POST /v1/token", strings.Repeat("x", ipc.MaxRequestBody+1), 400, ipc.CodeBadRequest},
		{"PUT /v1/profiles/x", `{"secret":"` + apiToken + `","store":5}`, 400, ipc.CodeBadRequest},
		{"PUT /v1/profiles/" + strings.Repeat("x", 300), `{"secret":"s"}`, 400, ipc.CodeBadProfileName},
		{"PUT /v1/profiles/x", `{"secret":"s","store":"clay"}`, 400, ipc.CodeBadRequest},
		{"PUT /v1/profiles/x", `{"secret":"s","provider":"clay"}`, 400, ipc.CodeBadRequest},
		{"POST /v1/profiles/prod/rename", `{"to":"../x"}`, 400, ipc.CodeBadProfileName},
		{"POST /v1/profiles/nobody/use", ``, 404, ipc.CodeNoSuchProfile},
		{"DELETE /v1/profiles/nobody", ``, 404, ipc.CodeNoSuchProfile},
	} {
		method, path, _ := strings.Cut(c.request, " ")
		w := ask(s, method, path, c.body)
		if got := codeOf(t, w); w.Code != c.status || got != c.code {
			t.Errorf("%s: got %d %s", c.request, w.Code, got)
		}
		if strings.Contains(w.Body.String(), apiToken) {
			t.Errorf("%s: the reply repeats the secret", c.request)
		}
	}
}

func TestUnusableSettings(t *testing.T) {
	bad := &ipc.Error{Code: ipc.CodeConfigInvalid, Message: "config.toml:3: there is no setting x"}
	s := newServer(t, api.Owner, func(o *api.Options) {
		o.Unusable = func() *ipc.Error { return bad }
		o.Config = func() ipc.ConfigStatus { return ipc.ConfigStatus{Path: "config.toml", Error: bad.Message} }
	})
	if w := ask(s, "GET", "/v1/token", ""); codeOf(t, w) != ipc.CodeConfigInvalid {
		t.Errorf("token: %s", w.Body)
	}
	if w := ask(s, "GET", "/v1/status", ""); w.Code != 200 || !strings.Contains(w.Body.String(), "config.toml:3") {
		t.Errorf("status: %s", w.Body)
	}
}

func TestP1NoReplyButATokensHoldsASecret(t *testing.T) {
	s := newServer(t, api.Owner)
	ask(s, "GET", "/v1/token", "")
	for _, path := range []string{"/v1/status", "/v1/profiles", "/v1/profiles/prod", "/v1/profiles/prod/details", "/v1/profiles/prod/inspect", "/v1/expiry"} {
		w := ask(s, "GET", path, "")
		if w.Code != 200 || strings.Contains(w.Body.String(), apiToken) || strings.Contains(w.Body.String(), accessToken) {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

func TestAudit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	audit := api.NewAudit(path, slog.New(slog.DiscardHandler))
	s := newServer(t, api.Owner, func(o *api.Options) { o.Audit = audit })
	for range 24000 { // more than the file may hold
		ask(s, "GET", "/v1/token", "")
	}
	if err := audit.Close(); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, path + ".1"} {
		b, err := os.ReadFile(p)
		if err != nil || len(b) == 0 || len(b) > 4<<20 || strings.Contains(string(b), accessToken) {
			t.Fatalf("%s: %d bytes, %v", p, len(b), err)
		}
		info, err := os.Stat(p)
		if err != nil || info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
			t.Errorf("%v, %v", info.Mode(), err)
		}
		for line := range strings.Lines(string(b)) {
			var l struct{ Profile, Kind string }
			if err := json.Unmarshal([]byte(line), &l); err != nil || l.Profile != "prod" || l.Kind != "access" {
				t.Fatalf("%q: %v", line, err)
			}
		}
	}
}

func FuzzRequest(f *testing.F) {
	f.Add("GET", "/v1/token?profile=prod&min_ttl=5m&fresh=1", "")
	f.Add("POST", "/v1/token", `{"profile":"prod","scope":["a"],"passcode":"000000"}`)
	f.Add("PUT", "/v1/profiles/x", `{"secret":"s","store":"memory","ca":"x"}`)
	f.Add("POST", "/v1/profiles/prod/rename", `{"to":"x"}`)
	f.Add("GET", "//v1/../v1/token/", "")
	s := newServer(f, api.Observe)
	f.Fuzz(func(t *testing.T, method, target, body string) {
		r, err := http.NewRequest(method, "http://agent/"+strings.TrimPrefix(target, "/"), strings.NewReader(body))
		if err != nil {
			return
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if !json.Valid(w.Body.Bytes()) {
			t.Errorf("%d: not JSON: %q", w.Code, w.Body)
		}
		if strings.Contains(w.Body.String(), accessToken) {
			t.Error("an observer was given a token")
		}
		if w.Header().Get("Content-Length") != fmt.Sprint(w.Body.Len()) {
			t.Errorf("length %s of %d", w.Header().Get("Content-Length"), w.Body.Len())
		}
	})
}
