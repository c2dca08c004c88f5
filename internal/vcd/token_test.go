package vcd_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
	"github.com/cspctl/cspctl/internal/upstream"
	"github.com/cspctl/cspctl/internal/upstream/upstreamtest"
	"github.com/cspctl/cspctl/internal/vcd"
)

func tokens() *vcd.TokenClient { return vcd.APIToken(upstream.New(upstream.Options{})) }

func tokenCredential(origin, org, token string) provider.Credential {
	return provider.Credential{Binding: provider.Binding{Provider: provider.VCD, Origin: origin, Org: org}, Secret: secret.New(token)}
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

func TestTokenSendsTheDocumentedRequest(t *testing.T) {
	for org, path := range map[string]string{
		"acme": "/oauth/tenant/acme/token", "System": "/oauth/provider/token", "sYSTEM": "/oauth/provider/token",
		"a/b c?d": "/oauth/tenant/a%2Fb%20c%3Fd/token", "..": "/oauth/tenant/%2E%2E/token", "Bücher": "/oauth/tenant/B%C3%BCcher/token",
	} {
		var got *http.Request
		origin := serve(t, func(w http.ResponseWriter, r *http.Request) {
			_ = r.ParseForm()
			got = r
			upstreamtest.SayJSON(200, `{"access_token":"abc","token_type":"Bearer","expires_in":3600,"refresh_token":null}`)(w, r)
		})
		token, err := tokens().Exchange(t.Context(), tokenCredential(origin, org, "a+b&c=d"), provider.Request{})
		if err != nil || token.ExpiresIn != time.Hour || token.Type != "Bearer" || token.Access.Reveal() != "abc" {
			t.Fatalf("%s: got %+v, %v", org, token, err)
		}
		if got.Method != "POST" || got.RequestURI != path || got.PostForm.Encode() != "grant_type=refresh_token&refresh_token=a%2Bb%26c%3Dd" {
			t.Errorf("%s: %s %s %v", org, got.Method, got.RequestURI, got.PostForm)
		}
		if got.Header.Get("Accept") != "application/json" || got.Header.Get("Content-Type") != upstream.Form || got.Header.Get("Authorization") != "" {
			t.Errorf("headers %v", got.Header)
		}
	}
}

func TestP10ReplacementIsReturned(t *testing.T) {
	const next = "NextTokenNextTokenNextToken12345"
	access := `"access_token":"abc"`
	huge := `"pad":"` + strings.Repeat("x", 2<<20) + `"`
	for _, c := range []struct {
		name, body string
		want       string
		class      provider.Class // of the error that comes along; -1: none
	}{
		{"none", `{` + access + `}`, "", -1},
		{"null", `{` + access + `,"refresh_token":null}`, "", -1},
		{"empty", `{` + access + `,"refresh_token":""}`, "", -1},
		{"the same", `{` + access + `,"refresh_token":"` + upstreamtest.Secret + `"}`, "", -1},
		{"number", `{` + access + `,"refresh_token":5}`, "", -1},
		{"another", `{` + access + `,"refresh_token":"` + next + `"}`, next, -1},
		{"escaped", `{` + access + `,"refresh_token":"\u0061bc\/d"}`, "abc/d", -1},
		{"no access token", `{"refresh_token":"` + next + `"}`, next, provider.WrongServer},
		{"bad access token", `{"access_token":"a b","refresh_token":"` + next + `"}`, next, provider.WrongServer},
		{"swapped", `{"access_token":"` + next + `","refresh_token":"` + next + `"}`, next, provider.WrongServer},
		{"too long an answer", `{"refresh_token":"` + next + `",` + huge + `}`, next, provider.WrongServer},
		{"not JSON to the end", `{"refresh_token":"` + next + `","x`, next, provider.WrongServer},
		{"cut within it", `{` + access + `,"refresh_token":"` + next[:9], "", provider.WrongServer},
		{"not a token", `{` + access + `,"refresh_token":"a\nb"}`, "", provider.WrongServer},
		{"not a token, in size", `{` + access + `,"refresh_token":"` + strings.Repeat("a", 70<<10) + `"}`, "", provider.WrongServer},
	} {
		origin := serve(t, upstreamtest.SayJSON(200, c.body))
		token, err := tokens().Exchange(t.Context(), tokenCredential(origin, "acme", upstreamtest.Secret), provider.Request{})
		if token.Replacement.Reveal() != c.want {
			t.Errorf("%s: replacement %q, want %q", c.name, token.Replacement.Reveal(), c.want)
		}
		if c.class < 0 {
			if err != nil || token.Access.Reveal() != "abc" {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if upstreamtest.MustFail(t, err, c.class, ""); !token.Access.IsZero() {
			t.Errorf("%s: an access token beside an error", c.name)
		}
	}
}

func TestP10BrokenAnswerYieldsItsReplacement(t *testing.T) {
	const next = "NextTokenNextTokenNextToken12345"
	for body, want := range map[string]string{
		`{"refresh_token":"` + next + `","access_token":"ab`: next,
		`{"access_token":"abc","refresh_token":"Next`:        "",
		``: "",
	} {
		origin := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "500")
			_, _ = w.Write([]byte(body))
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		})
		token, err := tokens().Exchange(t.Context(), tokenCredential(origin, "acme", upstreamtest.Secret), provider.Request{})
		e := upstreamtest.MustFail(t, err, provider.Transient, "")
		if token.Replacement.Reveal() != want || e.Status != 0 {
			t.Errorf("%q: got %q, status %d", body, token.Replacement.Reveal(), e.Status)
		}
	}
}

func TestTokenFailureClasses(t *testing.T) {
	trace := strings.Repeat(`at com.example.Some.method(Some.java:1)\n\t`, 100)
	huge := strings.Repeat("at com.example.Some.method ", 60000)
	xmlError := func(major, minor, message, trace string) string {
		return `<?xml version="1.0" encoding="UTF-8"?><Error xmlns="http://www.vmware.com/vcloud/v1.5" stackTrace="` + trace[:len(trace)/2] + `" majorErrorCode="` + major + `" message="` + message + `" minorErrorCode="` + minor + `"></Error>`
	}
	for _, c := range []struct {
		name    string
		answer  http.HandlerFunc
		class   provider.Class
		code    string
		message string
	}{
		{"invalid_grant", upstreamtest.SayJSON(400, `{"minorErrorCode":"invalid_grant","message":"Invalid refresh token","stackTrace":null}`), provider.Permanent, "invalid_grant", "does not accept the API token"},
		{"invalid_grant as 401", upstreamtest.SayJSON(401, `{"minorErrorCode":"invalid_grant","message":"x"}`), provider.Permanent, "invalid_grant", "API token"},
		{"OAuth's form", upstreamtest.SayJSON(400, `{"error":"invalid_grant","error_description":"expired"}`), provider.Permanent, "invalid_grant", "expired"},
		{"XML", upstreamtest.Say(400, "application/xml", xmlError("400", "invalid_grant", "Invalid &quot;token&quot;", "")), provider.Permanent, "invalid_grant", `Invalid "token"`},
		{"huge trace", upstreamtest.SayJSON(400, `{"minorErrorCode":"invalid_grant","message":"m","stackTrace":"`+huge+`"}`), provider.Permanent, "invalid_grant", "API token: m"},
		{"other 400 with a trace", upstreamtest.SayJSON(400, `{"minorErrorCode":"BAD_REQUEST","message":"no `+upstreamtest.Secret+` here","stackTrace":"`+trace+`"}`), provider.Refused, "BAD_REQUEST", "no here"},
		{"XML 403", upstreamtest.Say(403, "application/vnd.vmware.vcloud.error+xml", xmlError("403", "ACCESS_TO_RESOURCE_IS_FORBIDDEN", "not you", trace)), provider.Refused, "ACCESS_TO_RESOURCE_IS_FORBIDDEN", "not you"},
		{"XML 403, huge trace", upstreamtest.Say(403, "text/xml", `<Error minorErrorCode="X" message="not you" stackTrace="`+huge+`"/>`), provider.Refused, "X", "not you"},
		{"invalid_grant within a message only", upstreamtest.SayJSON(400, `{"minorErrorCode":"BAD_REQUEST","message":"not invalid_grant"}`), provider.Refused, "BAD_REQUEST", "400"},
		{"empty 401", upstreamtest.Say(401, "", ""), provider.Refused, "", "401 unauthorized"},
		{"406", upstreamtest.SayJSON(406, `{}`), provider.Refused, "", "406"},
		{"unknown organization", upstreamtest.SayJSON(404, `{"minorErrorCode":"NOT_FOUND","message":"x"}`), provider.Refused, "NOT_FOUND", "has no organization acme"},
		{"unknown organization, XML", upstreamtest.Say(404, "", xmlError("404", "NOT_FOUND", "x", "")), provider.Refused, "NOT_FOUND", "has no organization acme"},
		{"another server", upstreamtest.Say(404, "text/plain", "404 page not found"), provider.WrongServer, "", "has no organization acme, or is no Cloud Director"},
		{"web page as 404", upstreamtest.Say(404, "text/html", "<html></html>"), provider.WrongServer, "", "or is no Cloud Director"},
		{"web page", upstreamtest.Say(200, "text/html", "<html></html>"), provider.Transient, "", "web page"},
		{"busy", upstreamtest.SayJSON(429, `{}`), provider.Transient, "", "fewer requests"},
		{"failing with invalid_grant", upstreamtest.SayJSON(500, `{"minorErrorCode":"invalid_grant"}`), provider.Transient, "invalid_grant", "500"},
		{"gateway", upstreamtest.Say(502, "text/html", "<html></html>"), provider.Transient, "", "502"},
		{"redirect", upstreamtest.Say(307, "", "", "Location", "https://other.example.com/"), provider.WrongServer, "", "the API token is not sent along"},
		{"another JSON", upstreamtest.SayJSON(200, `{"status":"UP"}`), provider.WrongServer, "", "without an access token"},
		{"broken XML", upstreamtest.Say(400, "text/xml", `<Error message="`), provider.Refused, "", "400"},
		{"another XML", upstreamtest.Say(400, "text/xml", `<Fault minorErrorCode="invalid_grant"/>`), provider.Refused, "", "400"},
	} {
		t.Run(c.name, func(t *testing.T) {
			origin := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Vmware-Vcloud-Request-Id", "request-1")
				c.answer(w, r)
			})
			token, err := tokens().Exchange(t.Context(), tokenCredential(origin, "acme", upstreamtest.Secret), provider.Request{})
			e := upstreamtest.MustFail(t, err, c.class, "")
			if !token.Access.IsZero() || !token.Replacement.IsZero() || e.Code != c.code || !strings.Contains(e.Message, c.message) || e.RequestID != "request-1" {
				t.Errorf("got %+v", e)
			}
			if strings.Contains(e.Message, "com.example") || len(e.Message) > 600 {
				t.Errorf("the stack trace is shown: %s", e.Message)
			}
		})
	}
}

func TestConnectionThatEndsNamesTheOrganization(t *testing.T) {
	origin := serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	_, err := tokens().Exchange(t.Context(), tokenCredential(origin, "acme", upstreamtest.Secret), provider.Request{})
	e := upstreamtest.MustFail(t, err, provider.Transient, "")
	if !strings.Contains(e.Message, "organization") || !strings.Contains(e.Hint, "acme") {
		t.Errorf("got %+v", e)
	}
}

func TestTokenWithoutItsParts(t *testing.T) {
	origin := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the server is asked: that may use up the token") })
	good := tokenCredential(origin, "acme", "x")
	for name, c := range map[string]struct {
		cred  provider.Credential
		req   provider.Request
		class provider.Class
	}{
		"no secret":       {tokenCredential(origin, "acme", ""), provider.Request{}, provider.Permanent},
		"no organization": {tokenCredential(origin, "", "x"), provider.Request{}, provider.Permanent},
		"no server":       {tokenCredential("", "acme", "x"), provider.Request{}, provider.WrongServer},
		"passcode":        {good, provider.Request{Passcode: secret.New("1")}, provider.Refused},
		"scope":           {good, provider.Request{Scope: []string{"a"}}, provider.Refused},
		"resource scope":  {good, provider.Request{ResourceScope: "{}"}, provider.Refused},
	} {
		_, err := tokens().Exchange(t.Context(), c.cred, c.req)
		if e := upstreamtest.MustFail(t, err, c.class, ""); e.Hint == "" {
			t.Errorf("%s: no hint", name)
		}
	}
}

func TestOrigin(t *testing.T) {
	const want = "https://vcd.example.com"
	for in, want := range map[string]string{
		want: want, "vcd.example.com": want, " VCD.example.com/api \n": want, want + "/api/": want, want + "/cloudapi": want, want + "/provider/": want,
		want + "/tenant/acme": want, want + "/tenant/acme/vdcs/x": want, want + ":8443/api": want + ":8443", "http://127.0.0.1:80/api": "http://127.0.0.1",
		"": "", want + "/tm": "", want + "/apis": "", want + "/api?x=" + upstreamtest.Secret: "", "http://vcd.example.com/api": "", "api": "https://api", "/api": "", "ftp://x/api": "",
	} {
		got, err := tokens().Origin(in)
		if got != want || (err == nil) == (want == "") {
			t.Errorf("%q: got %q, %v; want %q", in, got, err, want)
		}
		if err != nil {
			upstreamtest.NoRemains(t, "the error", err.Error(), upstreamtest.Secret, 4)
		}
	}
}

func TestCheckSecret(t *testing.T) {
	for in, want := range map[string]string{
		" abc\n": "abc", `"abc"`: "abc", `{"token_type":"Service Account","refresh_token":"abc","updated_on":"2023-04-18"}` + "\n": "abc",
		`{"refresh_token":"abc"`: "abc", `{"access_token":"abc"}`: "", `{}`: "", upstreamtest.JWT(): "", "": "", "a\nb": "", `{"refresh_token":"a\nb"}`: "",
	} {
		got, err := tokens().CheckSecret(in)
		if got.Reveal() != want || (err == nil) == (want == "") {
			t.Errorf("%q: got %q, %v", in, got.Reveal(), err)
		}
	}
	sessions := vcd.Session(upstream.New(upstream.Options{}))
	for in, want := range map[string]string{
		"abc\n": "abc", "abc\r\n": "abc", " a b ": " a b ", `"quoted"`: `"quoted"`, "a\n\n": "", "": "", "\n": "", "a\x00": "", "\xff": "", strings.Repeat("a", 5000): "", "pässwörd": "pässwörd",
	} {
		got, err := sessions.CheckSecret(in)
		if got.Reveal() != want || (err == nil) == (want == "") {
			t.Errorf("password %q: got %q, %v", in, got.Reveal(), err)
		}
	}
}

func TestNoDetails(t *testing.T) {
	if _, err := tokens().Details(t.Context(), provider.Credential{}); !errors.Is(err, provider.ErrNoDetails) {
		t.Errorf("got %v", err)
	}
	if !tokens().Rotates() {
		t.Error("the agent would not guard the token")
	}
}
