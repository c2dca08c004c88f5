package csp_test

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/csp"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
	"github.com/cspctl/cspctl/internal/sim"
	"github.com/cspctl/cspctl/internal/upstream"
	"github.com/cspctl/cspctl/internal/upstream/upstreamtest"
)

func appCredential(origin, id, s, org string) provider.Credential {
	return provider.Credential{Binding: provider.Binding{Provider: provider.CSPApp, Origin: origin, ClientID: id, Org: org}, Secret: secret.New(s)}
}

func newApp() *csp.AppClient { return csp.App(upstream.New(upstream.Options{})) }

func TestAppSendsTheDocumentedRequest(t *testing.T) {
	var got *http.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		got = r
		upstreamtest.SayJSON(200, `{"access_token":"abc","expires_in":18000,"token_type":"bearer","scope":"x"}`)(w, r)
	}))
	defer server.Close()
	const id, password = "id:with colon", "a+b/c=&d%20 e:é"
	for _, c := range []struct {
		org  string
		req  provider.Request
		want url.Values
	}{
		{"", provider.Request{}, url.Values{"grant_type": {"client_credentials"}}},
		{"org-1", provider.Request{Scope: []string{"a", "b"}}, url.Values{"grant_type": {"client_credentials"}, "orgId": {"org-1"}, "scope": {"a b"}}},
	} {
		token, err := newApp().Exchange(t.Context(), appCredential(server.URL, id, password, c.org), c.req)
		if err != nil || token.ExpiresIn != 5*time.Hour || token.Type != "Bearer" || !token.Replacement.IsZero() {
			t.Fatalf("got %+v, %v", token, err)
		}
		if got.Method != "POST" || got.URL.String() != "/csp/gateway/am/api/auth/authorize" || got.PostForm.Encode() != c.want.Encode() {
			t.Errorf("%s %s %s", got.Method, got.URL, got.PostForm)
		}
		// RFC 6749, section 2.3.1: form-encoded, then joined, then in base64.
		want := "Basic " + base64.StdEncoding.EncodeToString([]byte("id%3Awith+colon:a%2Bb%2Fc%3D%26d%2520+e%3A%C3%A9"))
		if got.Header.Get("Authorization") != want || got.Header.Get("Content-Type") != upstream.Form {
			t.Errorf("headers %v", got.Header)
		}
	}
}

func TestAppFailureClasses(t *testing.T) {
	basic := base64.StdEncoding.EncodeToString([]byte("app:" + upstreamtest.Secret))
	scoped := provider.Request{Scope: []string{"a"}}
	for _, c := range []struct {
		name    string
		answer  http.HandlerFunc
		req     provider.Request
		class   provider.Class
		message string
	}{
		{"invalid_client as 401", upstreamtest.SayJSON(401, `{"error":"invalid_client"}`), provider.Request{}, provider.Permanent, "id and secret of the OAuth app"},
		{"invalid_client in a message", upstreamtest.SayJSON(400, `{"message":"invalid_client: no such client","moduleCode":340}`), provider.Request{}, provider.Permanent, "id and secret"},
		{"invalid_client with a scope", upstreamtest.SayJSON(401, `{"error":"invalid_client"}`), scoped, provider.Permanent, "id and secret"},
		{"invalid_grant", upstreamtest.SayJSON(400, `{"error":"invalid_grant"}`), provider.Request{}, provider.Permanent, "id and secret"},
		{"invalid_grant with a scope", upstreamtest.SayJSON(400, `{"error":"invalid_grant"}`), scoped, provider.Refused, "what was asked for"},
		{"invalid_scope", upstreamtest.SayJSON(400, `{"error":"invalid_scope"}`), scoped, provider.Refused, "invalid_scope"},
		{"another 401", upstreamtest.SayJSON(401, `{"message":"not from this network"}`), provider.Request{}, provider.Refused, "not from this network"},
		{"empty 401", upstreamtest.Say(401, "", ""), provider.Request{}, provider.Refused, "401"},
		{"echo of the header", upstreamtest.SayJSON(403, `{"message":"bad header Basic `+basic+` here"}`), provider.Request{}, provider.Refused, "bad header"},
		{"busy", upstreamtest.SayJSON(429, `{}`), provider.Request{}, provider.Transient, "fewer requests"},
		{"failing", upstreamtest.SayJSON(500, `{"error":"invalid_client"}`), provider.Request{}, provider.Transient, "500"},
		{"page", upstreamtest.Say(200, "text/html", "<html></html>"), provider.Request{}, provider.Transient, "web page"},
		{"no such path", upstreamtest.Say(404, "text/plain", "404"), provider.Request{}, provider.WrongServer, "does not look like Cloud Services"},
		{"redirect", upstreamtest.Say(302, "", "", "Location", "https://other.example.com/"), provider.Request{}, provider.WrongServer, "secret of the OAuth app is not sent along"},
		{"the secret as token", upstreamtest.SayJSON(200, `{"access_token":"`+upstreamtest.Secret+`"}`), provider.Request{}, provider.WrongServer, "back in place"},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(c.answer)
			defer server.Close()
			token, err := newApp().Exchange(t.Context(), appCredential(server.URL, "app", upstreamtest.Secret, ""), c.req)
			e := upstreamtest.MustFail(t, err, c.class, "")
			upstreamtest.NoRemains(t, "the error", e.Message, basic, 8)
			if !strings.Contains(e.Message, c.message) || !token.Access.IsZero() {
				t.Errorf("message %q", e.Message)
			}
		})
	}
}

func TestAppWithoutItsParts(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the server is asked") }))
	defer server.Close()
	for name, c := range map[string]struct {
		cred  provider.Credential
		req   provider.Request
		class provider.Class
	}{
		"no secret":      {appCredential(server.URL, "id", "", ""), provider.Request{}, provider.Permanent},
		"no id":          {appCredential(server.URL, "", "x", ""), provider.Request{}, provider.Permanent},
		"passcode":       {appCredential(server.URL, "id", "x", ""), provider.Request{Passcode: secret.New("1")}, provider.Refused},
		"resource scope": {appCredential(server.URL, "id", "x", ""), provider.Request{ResourceScope: "{}"}, provider.Refused},
	} {
		_, err := newApp().Exchange(t.Context(), c.cred, c.req)
		if e := upstreamtest.MustFail(t, err, c.class, ""); e.Hint == "" {
			t.Errorf("%s: no hint", name)
		}
	}
}

func TestAppAgainstTheSimulator(t *testing.T) {
	s := sim.New(sim.Options{})
	app, err := s.AddApp(sim.App{Name: "robot", Life: sim.Duration(time.Minute), Secret: "with:colon+and %20"})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	defer server.Close()
	c := newApp()
	token, err := c.Exchange(t.Context(), appCredential(server.URL, app.ClientID, app.Secret, app.Org), provider.Request{})
	if err != nil || token.ExpiresIn != time.Minute || token.ExpiresAt.IsZero() {
		t.Errorf("got %+v, %v", token, err)
	}
	_, err = c.Exchange(t.Context(), appCredential(server.URL, app.ClientID, "wrong", ""), provider.Request{})
	upstreamtest.MustFail(t, err, provider.Permanent, "")
	_, err = c.Exchange(t.Context(), appCredential(server.URL, app.ClientID, app.Secret, "another"), provider.Request{})
	upstreamtest.MustFail(t, err, provider.Refused, "")
	if st := s.Stats(); st.Exchanges != 3 || st.Granted != 1 || st.Tokens["robot"].Exchanges != 3 || len(st.Violations) != 0 {
		t.Errorf("got %+v", st)
	}
	if _, err := c.Details(t.Context(), provider.Credential{}); !errors.Is(err, provider.ErrNoDetails) {
		t.Errorf("details: %v", err)
	}
	if origin, err := c.Origin(""); err != nil || origin != csp.DefaultServer {
		t.Errorf("origin %q, %v", origin, err)
	}
	if _, err := c.CheckSecret(upstreamtest.JWT()); err == nil || !strings.Contains(err.Error(), "OAuth Apps") {
		t.Errorf("got %v", err)
	}
}
