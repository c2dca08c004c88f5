//go:build unix

package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cspctl/cspctl/internal/ipc"
)

// P1: no request over the wire, whatever is in it, has a stored secret sent to
// another server, nor an access token that it brought.
func TestP1NothingOnTheWireRepointsASecret(t *testing.T) {
	t.Parallel()
	w := worldFor(t)
	if err := w.startSim([]string{"prod"}, nil); err != nil {
		t.Fatal(err)
	}
	w.env = append(w.env, "CSP_AGENT_STORE_KEY_FILE="+storeKey(t, w.dir))
	if err := w.startAgent(w.env); err != nil {
		t.Fatal(err)
	}
	th := newThief(t)
	secret, err := os.ReadFile(filepath.Join(w.dir, "prod.token"))
	if err != nil {
		t.Fatal(err)
	}
	secret = bytes.TrimSpace(secret)
	client := w.socketClient(t)
	changed := false // something was: all is put back before the next attempt
	call := func(method, path string, body any) (int, []byte) {
		t.Helper()
		b, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequest(method, "http://agent"+path, bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		// What proxies and gateways would take for the way to go.
		for _, h := range []string{"X-Forwarded-Host", "Forwarded", "X-Original-URL", "Origin", "Referer", "Location"} {
			req.Header.Set(h, th.url)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
		defer resp.Body.Close()
		var from io.Reader = resp.Body
		if strings.HasPrefix(path, "/v1/runs") { // it has no end of its own
			from = io.LimitReader(from, 1)
		}
		answer, _ := io.ReadAll(from)
		changed = changed || method != "GET" && path != "/v1/token" && resp.StatusCode == 200
		return resp.StatusCode, answer
	}
	var tokens [][]byte // that the honest server gave
	rest := func() {    // how it is before each attempt
		t.Helper()
		for _, name := range []string{"thief", "other"} {
			call("DELETE", "/v1/profiles/"+name, nil)
		}
		status, b := call("PUT", "/v1/profiles/prod", map[string]any{
			"provider": "csp", "server": w.url, "secret": string(secret), "store": "file", "replace": true, "default": true})
		if status != 200 {
			t.Fatalf("the login: %d %s", status, b)
		}
		status, b = call("GET", "/v1/token?profile=prod", nil)
		var r reply
		if err := json.Unmarshal(b, &r); err != nil || r.Token == "" {
			t.Fatalf("the token: %d %s", status, b)
		}
		tokens = append(tokens, []byte(r.Token))
	}
	attempts, served := 0, 0
	// try makes an attempt, and then has the agent use whatever it now has.
	try := func(what any, steps func()) {
		t.Helper()
		attempts++
		steps()
		_, list := call("GET", "/v1/profiles", nil)
		var all ipc.Profiles
		if err := json.Unmarshal(list, &all); err != nil {
			t.Fatal(err)
		}
		for _, p := range all.Profiles {
			if status, _ := call("GET", "/v1/token?fresh=true&profile="+p.Name, nil); status == 200 {
				served++
			}
			call("GET", "/v1/profiles/"+p.Name+"/details", nil)
			call("GET", "/v1/profiles/"+p.Name+"/inspect", nil)
		}
		if th.saw(secret) {
			t.Fatalf("the API token was sent to another server: %v", what)
		}
		for _, token := range tokens {
			if th.saw(token) {
				t.Fatalf("an access token was sent to another server: %v", what)
			}
		}
		if changed {
			rest()
			changed = false
		}
	}
	rest()

	// A lock that was tried ends: a locked agent answers nothing.
	open := func() { call("POST", "/v1/unlock", map[string]any{"passphrase": "x"}) }
	values := th.fieldValues()
	field := func(name string) string { _, name, _ = strings.Cut(name, "."); return name }
	login := func(body map[string]any) {
		try(body, func() { call("PUT", "/v1/profiles/prod", body) })
	}
	for _, name := range jsonFields(ipc.LoginRequest{}) {
		for _, v := range values[name] {
			for _, secret := range []string{garbage, th.token} {
				for _, noVerify := range []bool{true, false} {
					login(map[string]any{"secret": secret, "no_verify": noVerify, field(name): v})
					login(map[string]any{"server": th.url, "secret": secret, "no_verify": noVerify, "replace": true, field(name): v})
				}
			}
			login(map[string]any{"server": th.url, "no_verify": true, "replace": true, field(name): v}) // the secret that is there
		}
	}
	for path, b := range map[string]any{"/v1/token": ipc.TokenRequest{}, "/v1/profiles/prod/rename": ipc.RenameRequest{}, "/v1/unlock": ipc.UnlockRequest{}, "/v1/lock": ipc.LockRequest{}, "/v1/runs": ipc.RunRequest{}} {
		for _, name := range jsonFields(b) {
			for _, v := range values[name] {
				body := map[string]any{"profile": "prod", "fresh": true, "server": th.url, "origin": th.url, field(name): v}
				try(fmt.Sprint(path, body), func() { call("POST", path, body); open() })
			}
		}
	}

	// Each path, with everything at once: also with names that the wire does not
	// know, but that somebody may have thought of.
	for _, r := range wirePaths(t) {
		method, path := r[0], r[1]
		if path == "/v1/events" {
			continue // it takes filters alone, and has no end
		}
		query, body := url.Values{}, map[string]any{}
		for _, name := range []string{"origin", "url", "base_url", "endpoint", "ca_file", "ca_sha256", "binding", "proxy", "https_proxy", "hook", "socket", "listen", "redirect"} {
			query.Set(name, th.url)
			body[name] = th.url
		}
		for name, vs := range values {
			body[field(name)] = vs[0]
			if f := field(name); f != "scope" && f != "resource_scope" && f != "passcode" && f != "kind" {
				query.Set(f, fmt.Sprint(vs[0]))
			}
		}
		for name, v := range map[string]string{"profile": "prod", "name": "prod", "min_ttl": "10m", "warnings": "off"} {
			query.Set(name, v)
			body[name] = v
		}
		body["secret"] = th.token
		path = strings.ReplaceAll(path, "{name}", "prod")
		try(r, func() { call(method, path+"?"+query.Encode(), body); open() })
		try(r, func() { call(method, path+"?profile=prod&fresh=true", body); open() })
	}

	// In several steps: a profile of the thief's in the place of another one.
	own := map[string]any{"server": th.url, "secret": th.token, "store": "file"}
	bare := map[string]any{"server": th.url, "secret": garbage, "no_verify": true, "replace": true, "store": "memory"}
	put, to := "PUT /v1/profiles/", func(name string) map[string]any { return map[string]any{"to": name} }
	type step struct {
		call string
		body any
	}
	for name, steps := range map[string][]step{
		"names swapped":                        {{put + "thief", own}, {"POST /v1/profiles/prod/rename", to("other")}, {"POST /v1/profiles/thief/rename", to("prod")}},
		"renamed over the thief's":             {{put + "thief", own}, {"POST /v1/profiles/prod/rename", to("thief")}},
		"renamed into the place of one":        {{put + "thief", own}, {"DELETE /v1/profiles/thief", nil}, {"POST /v1/profiles/prod/rename", to("thief")}},
		"renamed over one that is logged out":  {{put + "thief", own}, {"POST /v1/profiles/thief/logout", nil}, {"POST /v1/profiles/prod/rename", to("thief")}},
		"logged out, then in elsewhere":        {{"POST /v1/profiles/prod/logout", nil}, {put + "prod", bare}},
		"through another store and back":       {{put + "prod", bare}, {put + "prod", map[string]any{"secret": "", "store": "file", "no_verify": true}}},
		"elsewhere, and logged out of it":      {{put + "prod", bare}, {"POST /v1/profiles/prod/logout", nil}, {"GET /v1/token?profile=prod&fresh=true", nil}},
		"removed, and made again elsewhere":    {{"DELETE /v1/profiles/prod", nil}, {put + "prod", map[string]any{"server": th.url, "secret": "", "store": "file", "no_verify": true}}},
		"the thief's made the default":         {{put + "thief", own}, {"POST /v1/profiles/thief/use", nil}, {"GET /v1/token?fresh=true", nil}},
		"a scope that was kept from elsewhere": {{put + "prod", bare}, {"POST /v1/token", map[string]any{"profile": "prod", "scope": []string{th.url}}}},
	} {
		try(name, func() {
			for _, s := range steps {
				method, path, _ := strings.Cut(s.call, " ")
				call(method, path, s.body)
			}
		})
	}

	if !th.saw([]byte(th.token)) {
		t.Error("the thief's server was never asked, so that it saw nothing proves nothing")
	}
	if served < 50 {
		t.Errorf("a token was given out after %d of %d attempts alone", served, attempts)
	}
	t.Logf("%d attempts", attempts)
}
