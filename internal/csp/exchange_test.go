package csp_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/csp"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
	"github.com/cspctl/cspctl/internal/upstream/upstreamtest"
)

func credential(origin, token string) provider.Credential {
	return provider.Credential{Binding: provider.Binding{Provider: provider.CSP, Origin: origin}, Secret: secret.New(token)}
}

// scripted is a server that answers each path with one function, and counts.
type scripted struct {
	*httptest.Server
	mu    sync.Mutex
	calls map[string]int
}

func serve(t *testing.T, authorize, details http.HandlerFunc) *scripted {
	t.Helper()
	u := &scripted{calls: map[string]int{}}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.mu.Lock()
		u.calls[r.URL.Path]++
		u.mu.Unlock()
		switch {
		case strings.HasSuffix(r.URL.Path, "/authorize") && authorize != nil:
			authorize(w, r)
		case strings.HasSuffix(r.URL.Path, "/details") && details != nil:
			details(w, r)
		default:
			t.Errorf("unexpected request for %s", r.URL.Path)
		}
	}))
	t.Cleanup(u.Close)
	return u
}

func (u *scripted) count(suffix string) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	n := 0
	for path, calls := range u.calls {
		if strings.HasSuffix(path, suffix) {
			n += calls
		}
	}
	return n
}

func TestExchangeSendsTheDocumentedForm(t *testing.T) {
	var got *http.Request
	var form map[string][]string
	u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(b))
		_ = r.ParseForm()
		got, form = r, r.PostForm
		upstreamtest.SayJSON(200, `{"access_token":"abc","expires_in":1799,"token_type":"bearer"}`)(w, r)
	}, nil)
	token := "a+b/c=&d%20 e" // every character that forms escape
	req := provider.Request{Scope: []string{"openid", "x:y"}, ResourceScope: `{"a":["b"]}`, Passcode: secret.New("123456")}
	c := csp.New(csp.Options{UserAgent: "cspctl/9.9"})
	if _, err := c.Exchange(t.Context(), credential(u.URL, token), req); err != nil {
		t.Fatal(err)
	}
	if got.Method != "POST" || got.URL.Path != "/csp/gateway/am/api/auth/api-tokens/authorize" || got.URL.RawQuery != "" {
		t.Errorf("%s %s", got.Method, got.URL)
	}
	want := map[string]string{"api_token": token, "scope": "openid x:y", "allowed_resource_scope": `{"a":["b"]}`, "passcode": "123456"}
	if len(form) != len(want) {
		t.Errorf("fields %v", maps.Keys(form))
	}
	for k, v := range want {
		if len(form[k]) != 1 || form[k][0] != v {
			t.Errorf("%s is %q", k, form[k])
		}
	}
	for k, v := range map[string]string{"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json", "User-Agent": "cspctl/9.9", "Authorization": "", "Cookie": ""} {
		if got.Header.Get(k) != v {
			t.Errorf("%s: %q", k, got.Header.Get(k))
		}
	}
	if _, err := c.Exchange(t.Context(), credential(u.URL, token), provider.Request{}); err != nil || len(form) != 1 {
		t.Errorf("a plain exchange sends %v, %v", form, err)
	}
}

func TestFailureClasses(t *testing.T) {
	const refused = `{"metadata":"knull","traceId":"abc71b186e364bc4","statusCode":404,"message":"invalid_grant: Invalid refresh token: xxxx...TAIL","requestId":"0105e0f320064337","moduleCode":"540","cspErrorCode":"540.120-340.800"}`
	grant := strings.ReplaceAll(refused, "TAIL", upstreamtest.Secret[len(upstreamtest.Secret)-5:])
	page := "<!DOCTYPE html><html><body>Incident</body></html>"
	errorBody := `{"message":"something is off","cspErrorCode":"1.2","moduleCode":340,"requestId":"r-1"}`
	for _, c := range []struct {
		name    string
		answer  http.HandlerFunc
		class   provider.Class
		code    string
		message string // a part
		after   time.Duration
		asks    int // details calls
	}{
		{"invalid_grant as 404 with a string moduleCode", upstreamtest.SayJSON(404, grant), provider.Permanent, "540.120-340.800", "expired, revoked or unknown", 0, 1},
		{"invalid_grant as 400", upstreamtest.SayJSON(400, `{"moduleCode":340,"message":"invalid_grant: Invalid refresh token: `+upstreamtest.Secret+`"}`), provider.Permanent, "invalid_grant", "expired, revoked or unknown", 0, 1},
		{"invalid_grant in OAuth's form, as 401", upstreamtest.SayJSON(401, `{"error":"invalid_grant","error_description":"no"}`), provider.Permanent, "invalid_grant", "", 0, 1},
		{"invalid_client", upstreamtest.SayJSON(400, `{"error":"invalid_client"}`), provider.Permanent, "invalid_client", "", 0, 1},
		{"invalid_grant as text", upstreamtest.Say(400, "text/plain", "invalid_grant: "+upstreamtest.Secret), provider.Permanent, "invalid_grant", "", 0, 1},
		{"invalid_grant in a web page", upstreamtest.Say(400, "text/html", page+"invalid_grant"), provider.Transient, "", "web page", 0, 0},
		{"invalid_grant while failing", upstreamtest.SayJSON(500, grant), provider.Transient, "540.120-340.800", "500 internal server error", 0, 0},

		{"other 400", upstreamtest.SayJSON(400, errorBody), provider.Refused, "1.2", "something is off", 0, 0},
		{"other 404", upstreamtest.SayJSON(404, errorBody), provider.Refused, "1.2", "404 not found", 0, 0},
		{"403", upstreamtest.SayJSON(403, errorBody), provider.Refused, "1.2", "403 forbidden", 0, 0},
		{"empty 401", upstreamtest.Say(401, "", ""), provider.Refused, "", "401 unauthorized", 0, 0},
		{"empty 403", upstreamtest.Say(403, "", ""), provider.Refused, "", "403 forbidden", 0, 0},
		{"XML 403", upstreamtest.Say(403, "application/xml", "<Error>no</Error>"), provider.Refused, "", "403 forbidden", 0, 0},
		{"JSON array", upstreamtest.SayJSON(400, `["`+upstreamtest.Secret+`"]`), provider.Refused, "", "400 bad request", 0, 0},

		{"408", upstreamtest.SayJSON(408, errorBody), provider.Transient, "1.2", "408", 0, 0},
		{"409", upstreamtest.SayJSON(409, errorBody), provider.Transient, "1.2", "409", 0, 0},
		{"429", upstreamtest.SayJSON(429, errorBody), provider.Transient, "1.2", "fewer requests", 0, 0},
		{"429 with Retry-After", upstreamtest.SayJSON(429, errorBody, "Retry-After", "7"), provider.Transient, "1.2", "fewer requests", 7 * time.Second, 0},
		{"429 with a web page", upstreamtest.Say(429, "text/html", page, "Retry-After", "soon"), provider.Transient, "", "fewer requests", 0, 0},
		{"500", upstreamtest.SayJSON(500, errorBody), provider.Transient, "1.2", "something is off", 0, 0},
		{"503 with a web page", upstreamtest.Say(503, "text/html", page, "Retry-After", "90"), provider.Transient, "", "503 service unavailable", 90 * time.Second, 0},
		{"599", upstreamtest.Say(599, "", ""), provider.Transient, "", "(599)", 0, 0},
		{"web page as 200", upstreamtest.Say(200, "text/html", page), provider.Transient, "", "something between", 0, 0},
		{"web page as 403", upstreamtest.Say(403, "text/html", page), provider.Transient, "", "something between", 0, 0},

		{"web page as 404", upstreamtest.Say(404, "text/html", page), provider.WrongServer, "", "does not look like Cloud Services", 0, 0},
		{"404 as text", upstreamtest.Say(404, "text/plain", "404 page not found"), provider.WrongServer, "", "does not look like Cloud Services", 0, 0},
		{"empty 404", upstreamtest.Say(404, "", ""), provider.WrongServer, "", "does not look like Cloud Services", 0, 0},
		{"204", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, provider.WrongServer, "", "without an access token", 0, 0},
		{"another JSON", upstreamtest.SayJSON(200, `{"status":"UP"}`), provider.WrongServer, "", "without an access token", 0, 0},
		{"redirect", upstreamtest.Say(302, "", "", "Location", "https://other.example.com/x?"+upstreamtest.Secret), provider.WrongServer, "", "redirects to other.example.com", 0, 0},
		{"redirect to a path", upstreamtest.Say(308, "", "", "Location", "/login"), provider.WrongServer, "", "redirects the request", 0, 0},
		{"redirect to nowhere", upstreamtest.Say(301, "", "", "Location", "::"+upstreamtest.Secret), provider.WrongServer, "", "redirects the request", 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := serve(t, c.answer, upstreamtest.SayJSON(404, `{"message":"not found","moduleCode":340}`))
			var log bytes.Buffer
			client := csp.New(csp.Options{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
			token, err := client.Exchange(t.Context(), credential(u.URL, upstreamtest.Secret), provider.Request{})
			e := upstreamtest.MustFail(t, err, c.class, log.String())
			if !token.Access.IsZero() || e.Code != c.code || !strings.Contains(e.Message, c.message) || e.RetryAfter != c.after {
				t.Errorf("got code %q, message %q, retry after %v", e.Code, e.Message, e.RetryAfter)
			}
			if !strings.Contains(e.Message, strings.TrimPrefix(u.URL, "http://")) {
				t.Errorf("the host is missing: %s", e.Message)
			}
			if u.count("/authorize") != 1 || u.count("/details") != c.asks {
				t.Errorf("%d exchanges, %d details calls", u.count("/authorize"), u.count("/details"))
			}
			if log.Len() == 0 {
				t.Error("nothing is logged")
			}
		})
	}
}

func TestDetailsFailureClasses(t *testing.T) {
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		class  provider.Class
	}{
		"unknown":        {upstreamtest.SayJSON(404, `{"message":"x `+upstreamtest.Secret+`"}`), provider.Permanent},
		"invalid_grant":  {upstreamtest.SayJSON(400, `{"message":"invalid_grant: `+upstreamtest.Secret+`"}`), provider.Permanent},
		"other 400":      {upstreamtest.SayJSON(400, `{"message":"x"}`), provider.Refused},
		"wrong server":   {upstreamtest.Say(404, "text/plain", "404 page not found"), provider.WrongServer},
		"busy":           {upstreamtest.SayJSON(429, `{}`), provider.Transient},
		"failing":        {upstreamtest.SayJSON(500, `{}`), provider.Transient},
		"captive portal": {upstreamtest.Say(200, "text/html", "<html></html>"), provider.Transient},
		"another server": {upstreamtest.SayJSON(200, `{"ok":true}`), provider.WrongServer},
	} {
		t.Run(name, func(t *testing.T) {
			u := serve(t, nil, c.answer)
			_, err := csp.New(csp.Options{}).Details(t.Context(), credential(u.URL, upstreamtest.Secret))
			upstreamtest.MustFail(t, err, c.class, "")
		})
	}
}

func TestP1RedirectGetsNoSecret(t *testing.T) {
	other := serve(t, nil, nil) // any request is an error
	for _, status := range []int{301, 302, 303, 307, 308} {
		u := serve(t, upstreamtest.Say(status, "", "", "Location", other.URL+"/csp"), nil)
		_, err := csp.New(csp.Options{}).Exchange(t.Context(), credential(u.URL, upstreamtest.Secret), provider.Request{})
		e := upstreamtest.MustFail(t, err, provider.WrongServer, "")
		if !strings.Contains(e.Hint, "--server "+other.URL) {
			t.Errorf("%d: hint %q", status, e.Hint)
		}
	}
}

func TestNoServerIsAskedForNothing(t *testing.T) {
	c := csp.New(csp.Options{})
	for _, cred := range []provider.Credential{
		credential("http://csp.example.com", upstreamtest.Secret), credential("", upstreamtest.Secret), credential("https://csp.example.com/x", upstreamtest.Secret),
	} {
		_, err := c.Exchange(t.Context(), cred, provider.Request{})
		upstreamtest.MustFail(t, err, provider.WrongServer, "")
	}
	u := serve(t, nil, nil)
	_, err := c.Exchange(t.Context(), credential(u.URL, ""), provider.Request{})
	upstreamtest.MustFail(t, err, provider.Permanent, "")
}

func TestCancelledCallSaysSo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	u := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		cancel()
		<-r.Context().Done()
	}, nil)
	_, err := csp.New(csp.Options{}).Exchange(ctx, credential(u.URL, upstreamtest.Secret), provider.Request{})
	upstreamtest.MustFail(t, err, provider.Transient, "")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v does not wrap context.Canceled", err)
	}
}
