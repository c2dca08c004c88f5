//go:build linux || darwin

package ipc_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/secret"
)

func TestToken(t *testing.T) {
	path := filepath.Join(folder(t), "agent.sock")
	requests := make(chan *http.Request, 10)
	bodies := make(chan string, 10)
	serve(t, path, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		requests <- r
		bodies <- string(body)
		w.Header().Set(ipc.HeaderWarning, "the API token expires in 3 days")
		w.Header().Set(ipc.HeaderWarningStage, "3d")
		tokenHandler(w, r)
	})
	c := on(path)
	got, err := c.Token(ipc.TokenRequest{Profile: "prod", MinTTL: "5m", Fresh: true})
	if err != nil {
		t.Fatal(err)
	}
	want := ipc.TokenReply{Type: "Bearer", ExpiresAt: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC), Profile: "prod", Provider: "csp",
		Warning: "the API token expires in 3 days", WarningStage: "3d"}
	if got.Token.Reveal() != fakeToken {
		t.Errorf("token is %q", got.Token.Reveal())
	}
	got.Token = secret.Text{}
	if got != want {
		t.Errorf("got %+v", got)
	}
	r, body := <-requests, <-bodies
	if r.Method != "GET" || r.RequestURI != "/v1/token?profile=prod&min_ttl=5m&fresh=true" || r.Host != ipc.Host || body != "" ||
		r.Header.Get("Accept") != "text/plain" || r.Header.Get(ipc.HeaderClientVersion) != ipc.Version {
		t.Errorf("got %s %s %v", r.Method, r.RequestURI, r.Header)
	}

	// A passcode or a scope goes into the body, never into the query.
	passcode := secret.NewWire("123456")
	for _, req := range []ipc.TokenRequest{{Profile: "p", Passcode: passcode}, {Profile: "p", Scope: []string{"a"}}, {Profile: "p", ResourceScope: "b"}} {
		if _, err := c.Token(req); err != nil {
			t.Fatal(err)
		}
		r, body := <-requests, <-bodies
		var sent ipc.TokenRequest
		if err := json.Unmarshal([]byte(body), &sent); err != nil || r.Method != "POST" || r.RequestURI != "/v1/token" ||
			sent.Profile != "p" || !sent.Passcode.Equal(req.Passcode.Text) || len(sent.Scope) != len(req.Scope) || sent.ResourceScope != req.ResourceScope {
			t.Errorf("got %s %s %s, %v", r.Method, r.RequestURI, body, err)
		}
	}
}

// Nothing but a token leaves Token: what $(...) or a header could trip over is
// refused, and so is an error page.
func TestTokenRefusesWhatIsNoToken(t *testing.T) {
	const kind, expires = "text/plain", "2030-01-02T03:04:05Z"
	for name, c := range map[string]struct {
		status              int
		kind, expires, body string
	}{
		"empty":                {200, kind, expires, "\n"},
		"nothing":              {200, kind, expires, ""},
		"no newline":           {200, kind, expires, "abc"},
		"two lines":            {200, kind, expires, "abc\ndef\n"},
		"two newlines":         {200, kind, expires, "abc\n\n"},
		"carriage return":      {200, kind, expires, "abc\r\n"},
		"space":                {200, kind, expires, "abc def\n"},
		"escape":               {200, kind, expires, "abc\x1b\n"},
		"NUL":                  {200, kind, expires, "abc\x00\n"},
		"beyond ASCII":         {200, kind, expires, "abcä\n"},
		"too long":             {200, kind, expires, strings.Repeat("x", ipc.MaxToken+1) + "\n"},
		"JSON":                 {200, "application/json", expires, `{"access_token":"x"}` + "\n"},
		"HTML":                 {200, "text/html", expires, "<html/>\n"},
		"no time":              {200, kind, "soon", "abc\n"},
		"expiry in words":      {200, kind, "soon", "abc\n"},
		"another success":      {202, kind, expires, "abc\n"},
		"a redirect":           {302, kind, expires, "abc\n"},
		"an error without one": {500, kind, expires, "abc\n"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(folder(t), "agent.sock")
			serve(t, path, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", c.kind)
				w.Header().Set(ipc.HeaderExpiresAt, c.expires)
				w.Header().Set("Content-Length", fmt.Sprint(len(c.body)))
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			})
			got, err := on(path).Token(ipc.TokenRequest{})
			if !got.Token.IsZero() {
				t.Errorf("got the token %q", got.Token.Reveal())
			}
			wantAgentError(t, err, "not a csp-agent")
		})
	}
}

func TestErrorsOfTheAgentArrive(t *testing.T) {
	path := filepath.Join(folder(t), "agent.sock")
	serve(t, path, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"code":"no_such_profile","message":"no \u001b[2Jprofile\nx","hint":"log in","retry_in":7,"request_id":"r1"}`)
	})
	want := ipc.Error{Code: ipc.CodeNoSuchProfile, Message: "no ?[2Jprofile?x", Hint: "log in", Retry: 7, Request: "r1"}
	_, tokenErr := on(path).Token(ipc.TokenRequest{})
	for _, err := range []error{tokenErr, on(path).Call("GET", "/v1/profiles/x", nil, nil)} {
		if e, ok := errors.AsType[*ipc.Error](err); !ok || *e != want {
			t.Errorf("got %#v", err)
		}
	}
	reply, err := on(path).Do(ipc.Request{Method: "GET", Path: "/v1/profiles/x"})
	if err != nil || reply.Status != 404 {
		t.Errorf("Do: got %+v, %v", reply, err)
	}
}

func TestCall(t *testing.T) {
	path := filepath.Join(folder(t), "agent.sock")
	serve(t, path, func(w http.ResponseWriter, r *http.Request) {
		var in ipc.RenameRequest
		switch err := json.NewDecoder(r.Body).Decode(&in); {
		case r.Method == "DELETE":
			w.WriteHeader(http.StatusNoContent)
		case err != nil:
			_, _ = io.WriteString(w, "not JSON")
		default:
			_, _ = fmt.Fprintf(w, `{"to":%q}`, r.Method+" "+r.URL.Path+" "+in.To+" "+r.Header.Get("Content-Type"))
		}
	})
	var out ipc.RenameRequest
	if err := on(path).Call("POST", "/v1/profiles/a/rename", ipc.RenameRequest{To: "b"}, &out); err != nil || out.To != "POST /v1/profiles/a/rename b application/json" {
		t.Errorf("got %+v, %v", out, err)
	}
	if err := on(path).Call("DELETE", "/v1/profiles/a", nil, nil); err != nil {
		t.Error(err)
	}
	wantAgentError(t, on(path).Call("GET", "/", nil, &out), "not a csp-agent")
	if err := on(path).Call("PUT", "/", func() {}, nil); err == nil {
		t.Error("a function was sent as JSON")
	}
	big := ipc.RenameRequest{To: strings.Repeat("x", ipc.MaxRequestBody)}
	if e, ok := errors.AsType[*ipc.Error](on(path).Call("PUT", "/", big, nil)); !ok || e.Code != ipc.CodeBadRequest {
		t.Errorf("an oversized request: %v", e)
	}
}

// T30: an agent of another version is mentioned, once.
func TestT30OtherVersion(t *testing.T) {
	path := filepath.Join(folder(t), "agent.sock")
	var agent atomic.Value
	agent.Store(ipc.Version)
	serve(t, path, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(ipc.HeaderVersion, agent.Load().(string))
		w.WriteHeader(http.StatusNoContent)
	})
	for _, want := range [][]string{nil, {"v0.0.1-other"}} {
		var heard []string
		c := ipc.Open(ipc.Options{NoStart: true, Getenv: env(ipc.EnvSocket, path), OnVersion: func(v string) { heard = append(heard, v) }})
		for range 3 {
			if _, err := c.Do(ipc.Request{Method: "GET", Path: "/"}); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(heard, want) {
			t.Errorf("heard %v, want %v", heard, want)
		}
		agent.Store("v0.0.1-other")
	}
}

func TestNobodyThere(t *testing.T) {
	dir := folder(t)
	path := filepath.Join(dir, "agent.sock")
	do := func(c *ipc.Client) error {
		_, err := c.Do(ipc.Request{Method: "GET", Path: "/", Timeout: 5 * time.Second})
		return err
	}
	wantAgentError(t, do(on(path)), "no agent answers at "+path)
	wantAgentError(t, do(on(filepath.Join(dir, "no", "folder", "agent.sock"))), "no agent answers")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	wantAgentError(t, do(on(path)), "no agent answers at "+path)
	wantAgentError(t, do(on("relative")), "absolute")
}
