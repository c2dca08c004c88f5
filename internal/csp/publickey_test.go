package csp_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cspctl/cspctl/internal/csp"
	"github.com/cspctl/cspctl/internal/jwtcheck"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/sim"
	"github.com/cspctl/cspctl/internal/upstream"
	"github.com/cspctl/cspctl/internal/upstream/upstreamtest"
)

// An exchanged token is good by the keys of its own server, and by no other's.
func TestPublicKeysFitTheTokens(t *testing.T) {
	_, cred := simulated(t, sim.APIToken{})
	c := csp.New(csp.Options{})
	tok, err := c.Exchange(t.Context(), cred, provider.Request{})
	if err != nil {
		t.Fatal(err)
	}
	own, err := c.PublicKeys(t.Context(), bare(cred))
	if err != nil {
		t.Fatal(err)
	}
	if err := jwtcheck.Verify(tok.Access.Reveal(), own); err != nil {
		t.Error(err)
	}
	other := httptest.NewServer(sim.New(sim.Options{}))
	defer other.Close()
	theirs, err := csp.App(upstream.New(csp.Options{})).PublicKeys(t.Context(), credential(other.URL, ""))
	if err != nil {
		t.Fatal(err)
	}
	if err := jwtcheck.Verify(tok.Access.Reveal(), theirs); err == nil {
		t.Error("good by the keys of another server")
	}
}

// bare is a credential without its secret.
func bare(c provider.Credential) provider.Credential {
	return provider.Credential{Binding: c.Binding, CA: c.CA}
}

func TestPublicKeysInEveryForm(t *testing.T) {
	const jwks, pem = `{"keys":[]}`, `{"alg":"SHA256withRSA","value":"-----BEGIN PUBLIC KEY-----"}`
	for _, c := range []struct {
		name           string
		status         int
		first, second  string // by ?format=jwks, and without
		want           string // the answer taken; "" if it fails
		class          provider.Class
		asked, message string
	}{
		{name: "JWK set", first: jwks, second: pem, want: jwks, asked: "jwks"},
		{name: "PEM, whatever is asked", first: pem, second: pem, want: pem, asked: "jwks"},
		{name: "PEM alone", first: "<html>", second: pem, want: pem, asked: "jwks,"},
		{name: "neither", first: "{}", second: "[]", class: provider.WrongServer, asked: "jwks,", message: "publishes no public key"},
		{name: "not found", status: 404, first: `{"message":"x"}`, second: "<html>", class: provider.WrongServer, asked: "jwks,", message: "publishes no public key"},
		{name: "refused", status: 401, first: "", second: "", class: provider.WrongServer, asked: "jwks,", message: "publishes no public key"},
		{name: "redirect", status: 302, first: "", second: "", class: provider.WrongServer, asked: "jwks,", message: "publishes no public key"},
		{name: "too long", first: `{"keys":"` + strings.Repeat("x", 1<<20) + `"}`, second: "", class: provider.WrongServer, asked: "jwks,"},
		{name: "down", status: 503, first: "<html>", second: pem, class: provider.Transient, asked: "jwks", message: "503"},
		{name: "busy", status: 429, first: "", second: pem, class: provider.Transient, asked: "jwks"},
	} {
		var asked []string
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || r.URL.Path != "/csp/gateway/am/api/auth/token-public-key" || r.Header.Get("Authorization") != "" || r.ContentLength > 0 {
				t.Errorf("%s: %s %s", c.name, r.Method, r.URL)
			}
			asked = append(asked, r.URL.Query().Get("format"))
			w.Header().Set("Location", "https://evil.example")
			if c.status != 0 {
				w.WriteHeader(c.status)
			}
			_, _ = w.Write([]byte(map[bool]string{true: c.first, false: c.second}[r.URL.RawQuery != ""]))
		}))
		got, err := csp.New(csp.Options{}).PublicKeys(t.Context(), bare(credential(s.URL, upstreamtest.Secret)))
		s.Close()
		if string(got) != c.want || strings.Join(asked, ",") != c.asked {
			t.Errorf("%s: got %.80q, asked %q", c.name, got, asked)
		}
		e, ok := errors.AsType[*provider.Error](err)
		if (err != nil) != (c.want == "") || err != nil && (!ok || e.Class != c.class || !strings.Contains(e.Message, c.message)) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
