package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/ipc/listen"
	"github.com/cspctl/cspctl/internal/secret"
)

// noon is what the commands under test take for now.
var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// fakeAgent answers on a socket of its own and keeps what it was asked.
type fakeAgent struct {
	t      *testing.T
	socket string
	mux    *http.ServeMux

	mu       sync.Mutex
	requests []string          // "METHOD PATH?QUERY"
	bodies   map[string]string // by the same, the last one
	version  string            // what it names in each reply
}

func newAgent(t *testing.T) *fakeAgent {
	t.Helper()
	f := &fakeAgent{t: t, socket: freePath(t), mux: http.NewServeMux(), bodies: map[string]string{}, version: ipc.Version}
	l, err := listen.Listen(listen.Options{Path: f.socket, AllowRoot: true})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(f.serve))
	_ = s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	return f
}

// freePath returns the path of a socket where nobody listens.
func freePath(t *testing.T) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		return `\\.\pipe\cspctl-` + rand.Text()
	}
	dir, err := os.MkdirTemp("", "cspctl") // t.TempDir's paths are too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "agent.sock")
}

func (f *fakeAgent) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	what := r.Method + " " + r.URL.RequestURI()
	f.requests = append(f.requests, what)
	f.bodies[what] = string(body)
	version := f.version
	f.mu.Unlock()
	w.Header().Set(ipc.HeaderVersion, version)
	if _, pattern := f.mux.Handler(r); pattern == "" {
		sendJSON(w, http.StatusNotFound, ipc.Error{Code: ipc.CodeNotFound, Message: "no such path"})
		return
	}
	f.mux.ServeHTTP(w, r)
}

// says sets the version that the agent names in each reply.
func (f *fakeAgent) says(version string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.version = version
}

func (f *fakeAgent) asked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.requests...)
}

func (f *fakeAgent) body(what string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.bodies[what]
}

func sendJSON(w http.ResponseWriter, status int, v any) {
	b, _ := json.Marshal(v)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

// json answers a request with v.
func (f *fakeAgent) json(pattern string, v any) {
	f.mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) { sendJSON(w, 200, v) })
}

// refuse answers a request with an error.
func (f *fakeAgent) refuse(pattern string, code ipc.Code, message, hint string) {
	f.mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) {
		sendJSON(w, 400, ipc.Error{Code: code, Message: message, Hint: hint})
	})
}

// aToken is made at run time, so that no scanner takes it for a real one.
var aToken = strings.Repeat("Tok-", 8) + "en_~+/=."

// token answers token requests with aToken, good for half an hour from noon.
func (f *fakeAgent) token(more map[string]string) {
	h := func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept") == "application/json" {
			doc := ipc.Token{AccessToken: secret.NewWire(aToken), TokenType: "Bearer", Kind: "access", Profile: "prod", Provider: "csp",
				ExpiresAt: noon.Add(30 * time.Minute), ExpiresIn: 1800}
			if m := more[ipc.HeaderWarning]; m != "" {
				doc.Warning = &ipc.Warning{Stage: more[ipc.HeaderWarningStage], Message: m}
			}
			_ = json.NewEncoder(w).Encode(doc)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set(ipc.HeaderProfile, "prod")
		w.Header().Set(ipc.HeaderProvider, "csp")
		w.Header().Set(ipc.HeaderExpiresAt, noon.Add(30*time.Minute).Format(time.RFC3339))
		for k, v := range more {
			w.Header().Set(k, v)
		}
		_, _ = io.WriteString(w, aToken+"\n")
	}
	f.mux.HandleFunc("GET /v1/token", h)
	f.mux.HandleFunc("POST /v1/token", h)
}

// profiles answers GET /v1/profiles and GET /v1/profile; the first one is the
// default.
func (f *fakeAgent) profiles(names ...string) {
	list := ipc.Profiles{Profiles: []ipc.Profile{}}
	for i, n := range names {
		list.Profiles = append(list.Profiles, ipc.Profile{Name: n, Default: i == 0, Provider: "csp",
			Server: "https://console.cloud.vmware.com", Org: "acme", Store: "memory", LoggedIn: noon.Add(-72 * time.Hour)})
	}
	f.json("GET /v1/profiles", list)
	f.mux.HandleFunc("GET /v1/profile", func(w http.ResponseWriter, r *http.Request) {
		name := r.URL.Query().Get("name")
		for _, p := range list.Profiles {
			if p.Name == name || name == "" && p.Default {
				sendJSON(w, 200, p)
				return
			}
		}
		sendJSON(w, 404, ipc.Error{Code: ipc.CodeNoSuchProfile, Message: "there is no profile " + either(name, "yet"), Hint: "cspctl login"})
	})
}

// shell is the environment of a run, changed by a test before it.
type shell struct {
	agent     *fakeAgent // nil: none answers
	env       map[string]string
	stdin     string
	terminals [3]bool
	tty       *fakeTTY // nil: there is none
	columns   int      // of stdout
	screen    screen   // nil: there is none
	stdout    io.Writer
	inPlace   func(exe string, args []string) (int, error)
}

// fakeTTY is a person who answers.
type fakeTTY struct {
	secret    string
	yes       bool
	err       error
	questions []string
}

func (f *fakeTTY) Secret(prompt string, _ int) (secret.Text, error) {
	f.questions = append(f.questions, prompt)
	return secret.New(f.secret), f.err
}

func (f *fakeTTY) Confirm(question string) (bool, error) {
	f.questions = append(f.questions, question)
	return f.yes, f.err
}

func (f *fakeTTY) Close() error { return nil }

// result is what a run left behind.
type result struct {
	code           int
	stdout, stderr string
}

func (s shell) run(t *testing.T, args ...string) result {
	t.Helper()
	socket := freePath(t)
	if s.agent != nil {
		socket = s.agent.socket
	}
	var out, errs bytes.Buffer
	env := environment{
		getenv: func(name string) string {
			if v, ok := s.env[name]; ok {
				return v
			}
			switch name {
			case "CSP_AGENT_SOCK":
				return socket
			case "CSPCTL_AUTOSTART":
				return "0"
			}
			return ""
		},
		stdin: strings.NewReader(s.stdin), stdout: &out, stderr: &errs,
		isTerminal: func(n int) bool { return s.terminals[n] },
		openTTY: func() (terminal, error) {
			if s.tty == nil {
				return nil, errors.New("no terminal")
			}
			return s.tty, nil
		},
		columns: func() int { return s.columns },
		openScreen: func() (screen, error) {
			if s.screen == nil {
				return nil, errors.New("no screen")
			}
			return s.screen, nil
		},
		now:     func() time.Time { return noon },
		inPlace: s.inPlace,
		environ: os.Environ,
	}
	if s.stdout != nil {
		env.stdout = s.stdout
	}
	code := run(commands, env, args)
	r := result{code, out.String(), errs.String()}
	if code != 0 && r.stdout != "" && args[0] != "expiry" { // P3, whatever the test is about; expiry's codes are verdicts
		t.Errorf("cspctl %q failed with %d and yet printed on stdout: %q", args, code, r.stdout)
	}
	if code == 0 && strings.Contains(r.stderr, "error:") {
		t.Errorf("cspctl %q is done and yet says: %s", args, r.stderr)
	}
	return r
}

// want checks a run's exit code and that stderr holds each of texts.
func (r result) want(t *testing.T, code int, texts ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code %d, want %d; stdout %q, stderr %q", r.code, code, r.stdout, r.stderr)
	}
	for _, s := range texts {
		if !strings.Contains(r.stderr, s) {
			t.Errorf("stderr has no %q: %q", s, r.stderr)
		}
	}
}

// stall answers nothing until the test is over.
func stall(t *testing.T) http.HandlerFunc {
	done := make(chan struct{})
	t.Cleanup(func() { close(done) })
	return func(http.ResponseWriter, *http.Request) { <-done }
}
