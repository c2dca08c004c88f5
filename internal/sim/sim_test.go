package sim_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/cspctl/cspctl/internal/csp"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
	"github.com/cspctl/cspctl/internal/sim"
)

const base = "/csp/gateway/am/api/auth"

type world struct {
	*sim.Server
	url   string
	token sim.APIToken
}

// start runs a simulator with one account, "prod".
func start(t *testing.T, o sim.Options, token sim.APIToken) *world {
	t.Helper()
	s := sim.New(o)
	token.Name = "prod"
	token, err := s.AddToken(token)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	t.Cleanup(s.Release) // before Close, which waits for requests
	return &world{s, server.URL, token}
}

func (w *world) credential() provider.Credential {
	return provider.Credential{Binding: provider.Binding{Provider: provider.CSP, Origin: w.url}, Secret: secret.New(w.token.Value)}
}

func (w *world) exchange(ctx context.Context) (provider.Token, error) {
	return csp.New(csp.Options{}).Exchange(ctx, w.credential(), provider.Request{})
}

// answer is a decoded answer.
type answer struct {
	status int
	header http.Header
	text   string
	json   map[string]any
}

func send(t *testing.T, method, url, contentType, body string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: res.StatusCode, header: res.Header, text: string(b)}
	_ = json.Unmarshal(b, &a.json)
	return a
}

func (w *world) form(t *testing.T, form string) answer {
	t.Helper()
	return send(t, "POST", w.url+base+"/api-tokens/authorize", "application/x-www-form-urlencoded", form)
}

func TestAnswerSuitsRealClients(t *testing.T) {
	w := start(t, sim.Options{}, sim.APIToken{Org: "org-1", User: "jo@example.com", OpenID: true})
	a := w.form(t, "api_token="+url.QueryEscape(w.token.Value))
	if a.status != 200 || a.json["token_type"] != "bearer" || !strings.Contains(a.text, `"expires_in":1799,`) || a.json["scope"] == "" || a.json["id_token"] == nil {
		t.Fatalf("got %d %v", a.status, a.json)
	}
	if strings.Contains(a.text, w.token.Value) || a.json["refresh_token"] == "" {
		t.Error("the refresh_token of an answer must be a stand-in")
	}

	// The key that is served verifies the token, in both forms.
	keys := send(t, "GET", w.url+base+"/token-public-key?format=jwks", "", "{}")
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(keys.text), &set); err != nil || len(set.Keys) != 1 {
		t.Fatalf("got %v, %s", err, keys.text)
	}
	jws, err := jose.ParseSignedCompact(a.json["access_token"].(string), []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := jws.Verify(set.Key(jws.Signatures[0].Header.KeyID)[0])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"username", "context", "context_name", "domain", "perms", "iat", "exp", "jti", "acct", "sub", "iss", "azp", "aud"} {
		if claims[name] == nil {
			t.Errorf("claim %s is missing", name)
		}
	}
	if claims["context_name"] != "org-1" || claims["exp"].(float64)-claims["iat"].(float64) != 1800 {
		t.Errorf("claims %v", claims)
	}
	pem := send(t, "GET", w.url+base+"/token-public-key", "", "")
	if !strings.HasPrefix(pem.json["value"].(string), "-----BEGIN PUBLIC KEY-----") {
		t.Errorf("got %s", pem.text)
	}
	conf := send(t, "GET", w.url+"/csp/gateway/am/api/.well-known/openid-configuration", "", "")
	if conf.json["issuer"] != claims["iss"] || conf.json["jwks_uri"] != w.url+base+"/token-public-key?format=jwks" {
		t.Errorf("got %s", conf.text)
	}
}

func TestRefusalHasTheCapturedShape(t *testing.T) {
	w := start(t, sim.Options{}, sim.APIToken{})
	dead := strings.Repeat("dead", 16)
	a := w.form(t, "api_token="+dead)
	if a.status != 400 || a.json["message"] != "invalid_grant: Invalid refresh token: xxxx...ddead" || a.json["moduleCode"] != 340.0 || a.json["cspErrorCode"] == "" {
		t.Errorf("got %d %s", a.status, a.text)
	}
	w.AddFault(sim.Fault{GrantStatus: 404, ModuleCodeString: true, Echo: "full"})
	a = w.form(t, "api_token="+dead)
	if a.status != 404 || !strings.HasSuffix(a.json["message"].(string), dead) || a.json["moduleCode"] != "340" {
		t.Errorf("got %d %s", a.status, a.text)
	}
	if a = w.form(t, ""); a.status != 400 || a.json["message"] != "Invalid request body" {
		t.Errorf("got %d %s", a.status, a.text)
	}
}

func TestMisuseWorksAndIsRecorded(t *testing.T) {
	w := start(t, sim.Options{}, sim.APIToken{})
	authorize := w.url + base + "/api-tokens/authorize"
	const urlencoded = "application/x-www-form-urlencoded"
	token := w.token.Value
	for _, c := range []struct {
		name, url, contentType, body, violation string
		status                                  int
	}{
		{"documented", authorize, urlencoded, "api_token=" + token, "", 200},
		{"deprecated name", authorize, urlencoded, "refresh_token=" + token, "", 200},
		{"additional grant_type", authorize, urlencoded, "grant_type=refresh_token&api_token=" + token, "", 200},
		{"two slashes", strings.Replace(authorize, "/csp/", "//csp/", 1), urlencoded, "api_token=" + token, "", 200},
		{"in the query", authorize + "?api_token=" + token, urlencoded, "", "api_token in the query", 200},
		{"deprecated name in the query", authorize + "?refresh_token=" + token, urlencoded, "", "refresh_token in the query", 200},
		{"no content type", authorize, "", "refresh_token=" + token, "a Content-Type other than " + urlencoded, 200},
		{"JSON type", authorize, "application/json", "api_token=" + token, "a Content-Type other than " + urlencoded, 200},
		{"both names", authorize, urlencoded, "api_token=" + token + "&refresh_token=" + token, "api_token and refresh_token at once", 200},
		{"details", w.url + base + "/api-tokens/details", "application/json", `{"tokenValue":"` + token + `"}`, "", 200},
		{"details as a form", w.url + base + "/api-tokens/details", urlencoded, `{"tokenValue":"` + token + `"}`, "a Content-Type other than application/json", 200},
		{"details that are no JSON", w.url + base + "/api-tokens/details", "application/json", `{tokenValue=` + token + `}`, "", 400},
	} {
		w.ResetStats()
		a := send(t, "POST", c.url, c.contentType, c.body)
		var what []string
		for _, v := range w.Stats().Violations {
			what = append(what, v.What)
		}
		if a.status != c.status || strings.Join(what, ", ") != c.violation {
			t.Errorf("%s: got %d, violations %q", c.name, a.status, what)
		}
	}

	// What tanzu does: it stores the answer's refresh_token as the next API token.
	w.ResetStats()
	standIn := w.form(t, "api_token="+token).json["refresh_token"].(string)
	a := w.form(t, "api_token="+standIn)
	if v := w.Stats().Violations; a.status != 400 || len(v) != 1 || !strings.Contains(v[0].What, "used as API token") {
		t.Errorf("got %d, %v", a.status, v)
	}
	if b, _ := json.Marshal(w.Stats()); strings.Contains(string(b), token) || strings.Contains(string(b), standIn) {
		t.Errorf("the statistics show a secret: %s", b)
	}
}

func TestLifeOfAPITokens(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	w := start(t, sim.Options{Now: func() time.Time { return now }}, sim.APIToken{ExpiresIn: sim.Duration(time.Hour)})
	if a := w.form(t, "api_token="+w.token.Value); a.status != 200 {
		t.Fatalf("got %d %s", a.status, a.text)
	}
	d, err := csp.New(csp.Options{}).Details(t.Context(), w.credential())
	if err != nil || !d.Expiry.At.Equal(now.Add(time.Hour)) || !d.LastUsedAt.Equal(now) || !d.CreatedAt.Equal(now.Add(-179*24*time.Hour-23*time.Hour)) {
		t.Errorf("got %+v, %v", d, err)
	}
	// Its end moves, and its life stays as long.
	if _, err := w.AddToken(sim.APIToken{Name: "prod", ExpiresAt: now.Add(20 * 24 * time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if d, err = csp.New(csp.Options{}).Details(t.Context(), w.credential()); err != nil || !d.CreatedAt.Equal(now.Add(-160*24*time.Hour)) {
		t.Errorf("got %+v, %v", d, err)
	}
	if _, err := w.AddToken(sim.APIToken{Name: "prod"}); err != nil { // nothing is new
		t.Fatal(err)
	}
	if d, err = csp.New(csp.Options{}).Details(t.Context(), w.credential()); err != nil || !d.CreatedAt.Equal(now.Add(-160*24*time.Hour)) {
		t.Errorf("got %+v, %v", d, err)
	}
	now = now.Add(20 * 24 * time.Hour)
	if a := w.form(t, "api_token="+w.token.Value); a.status != 400 {
		t.Errorf("an expired token gives %d", a.status)
	}
	if _, err := csp.New(csp.Options{}).Details(t.Context(), w.credential()); err == nil {
		t.Error("an expired token has details")
	}
	if _, err := w.AddToken(sim.APIToken{Name: "prod", Never: true}); err != nil {
		t.Fatal(err)
	}
	d, err = csp.New(csp.Options{}).Details(t.Context(), w.credential()) // same value as before
	if err != nil || !d.Expiry.Never {
		t.Errorf("got %+v, %v", d, err)
	}
	if !w.Revoke("prod") || w.Revoke("prod") {
		t.Error("Revoke")
	}
	if a := w.form(t, "api_token="+w.token.Value); a.status != 400 {
		t.Errorf("a revoked token gives %d", a.status)
	}
}

func TestTokensAreRandomAndDistinct(t *testing.T) {
	s := sim.New(sim.Options{})
	seen := map[string]bool{}
	for _, name := range []string{"a", "b", "c"} {
		tok, err := s.AddToken(sim.APIToken{Name: name})
		if err != nil || len(tok.Value) != 64 || !strings.Contains(tok.Value, "_") || !strings.Contains(tok.Value, "-") || seen[tok.Value] {
			t.Errorf("got %d characters, %v", len(tok.Value), err)
		}
		seen[tok.Value] = true
	}
	a, _ := s.Token("a")
	if _, err := s.AddToken(sim.APIToken{Name: "b", Value: a.Value}); err == nil {
		t.Error("two accounts with one token")
	}
	if _, err := s.AddToken(sim.APIToken{}); err == nil {
		t.Error("a token without a name")
	}
}

func TestFaults(t *testing.T) {
	raw := func(s string) json.RawMessage { return json.RawMessage(s) }
	for _, c := range []struct {
		name  string
		fault sim.Fault
		good  func(answer) bool
	}{
		{"status", sim.Fault{Status: 429, RetryAfter: "7"}, func(a answer) bool {
			return a.status == 429 && a.header.Get("Retry-After") == "7" && a.json["statusCode"] == 429.0
		}},
		{"page", sim.Fault{HTML: true}, func(a answer) bool { return a.status == 200 && strings.HasPrefix(a.text, "<!DOCTYPE html>") }},
		{"failing page", sim.Fault{HTML: true, Status: 503}, func(a answer) bool { return a.status == 503 && strings.Contains(a.header.Get("Content-Type"), "html") }},
		{"empty", sim.Fault{Empty: true}, func(a answer) bool { return a.status == 401 && a.text == "" }},
		{"wrong JSON", sim.Fault{WrongJSON: true}, func(a answer) bool { return a.status == 200 && a.json["status"] == "UP" }},
		{"redirect", sim.Fault{Redirect: "https://other.example.com/"}, func(a answer) bool {
			return a.status == 307 && a.header.Get("Location") == "https://other.example.com/"
		}},
		{"body", sim.Fault{Body: "hello", ContentType: "text/plain", Status: 418}, func(a answer) bool { return a.status == 418 && a.text == "hello" }},
		{"expires_in as text", sim.Fault{ExpiresIn: raw(`"1799"`)}, func(a answer) bool { return a.json["expires_in"] == "1799" }},
		{"expires_in negative", sim.Fault{ExpiresIn: raw(`-1`)}, func(a answer) bool { return a.json["expires_in"] == -1.0 }},
		{"expires_in null", sim.Fault{ExpiresIn: raw(`null`)}, func(a answer) bool { v, ok := a.json["expires_in"]; return ok && v == nil }},
		{"expires_in missing", sim.Fault{ExpiresIn: raw(`"missing"`)}, func(a answer) bool { _, ok := a.json["expires_in"]; return !ok && a.status == 200 }},
		{"token verbatim", sim.Fault{AccessToken: "a\n$(b)"}, func(a answer) bool { return a.json["access_token"] == "a\n$(b)" }},
		{"token size", sim.Fault{TokenSize: 50000}, func(a answer) bool { n := len(a.json["access_token"].(string)); return n >= 50000 && n < 60000 }},
		{"padding", sim.Fault{Pad: 1000}, func(a answer) bool { return strings.HasSuffix(a.text, strings.Repeat(" ", 1000)) }},
		{"compressed", sim.Fault{Gzip: true}, func(a answer) bool { return a.json["token_type"] == "bearer" }},
		{"skew", sim.Fault{Skew: sim.Duration(-48 * time.Hour)}, func(a answer) bool {
			date, err := http.ParseTime(a.header.Get("Date"))
			claims, _ := provider.ReadClaims(a.json["access_token"].(string))
			return err == nil && time.Since(date) > 47*time.Hour && claims.IssuedAt.Equal(date)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := start(t, sim.Options{}, sim.APIToken{})
			c.fault.Times = 1
			w.AddFault(c.fault)
			if a := w.form(t, "api_token="+w.token.Value); !c.good(a) {
				t.Errorf("got %d %v %.300s", a.status, a.header, a.text)
			}
			if a := w.form(t, "api_token="+w.token.Value); a.status != 200 || a.json["expires_in"] != 1799.0 || len(w.Faults()) != 0 {
				t.Errorf("the fault stays: %d %.300s", a.status, a.text)
			}
		})
	}
}

func TestFaultsAreAimedAndAddUp(t *testing.T) {
	w := start(t, sim.Options{}, sim.APIToken{})
	other, err := w.AddToken(sim.APIToken{Name: "other"})
	if err != nil {
		t.Fatal(err)
	}
	w.AddFault(sim.Fault{Endpoint: sim.Details, Status: 500})
	w.AddFault(sim.Fault{Token: "other", Status: 503})
	w.AddFault(sim.Fault{Token: "other", RetryAfter: "9"})
	if a := w.form(t, "api_token="+w.token.Value); a.status != 200 {
		t.Errorf("prod gets %d", a.status)
	}
	if a := w.form(t, "api_token="+other.Value); a.status != 503 || a.header.Get("Retry-After") != "9" {
		t.Errorf("other gets %d, %q", a.status, a.header.Get("Retry-After"))
	}
	w.ClearFaults()
	if a := w.form(t, "api_token="+other.Value); a.status != 200 {
		t.Errorf("cleared: %d", a.status)
	}
}

func TestT5SameTokenAgain(t *testing.T) {
	w := start(t, sim.Options{}, sim.APIToken{})
	first, err := w.exchange(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	second, _ := w.exchange(t.Context())
	if second.Access.Equal(first.Access) {
		t.Error("two exchanges give one token")
	}
	w.AddFault(sim.Fault{SameToken: true})
	third, _ := w.exchange(t.Context())
	if !third.Access.Equal(second.Access) {
		t.Error("another token in spite of the fault")
	}
}

func TestHangingRequestsCanBeAwaitedAndReleased(t *testing.T) {
	w := start(t, sim.Options{}, sim.APIToken{})
	w.AddFault(sim.Fault{Hang: true, Times: 2})
	results := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := w.exchange(t.Context())
			results <- err
		}()
	}
	if err := w.WaitExchanges(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-results:
		t.Fatalf("a request does not hang: %v", err)
	default:
	}
	if st := w.Stats(); st.Exchanges != 2 || st.Granted != 0 || st.Tokens["prod"].Exchanges != 2 {
		t.Errorf("got %+v", st)
	}
	w.Release()
	for range 2 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if st := w.Stats(); st.Granted != 2 {
		t.Errorf("got %+v", st)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.WaitExchanges(ctx, 3); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := w.WaitDetails(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestUnknownPathsAndMethods(t *testing.T) {
	w := start(t, sim.Options{}, sim.APIToken{})
	if a := send(t, "GET", w.url+base+"/api-tokens/authorize?api_token="+w.token.Value, "", ""); a.status != 405 {
		t.Errorf("GET: %d", a.status)
	}
	if a := send(t, "POST", w.url+"/nothing", "", ""); a.status != 404 {
		t.Errorf("unknown path: %d", a.status)
	}
	if a := w.form(t, strings.Repeat("a", 2<<20)); a.status != 400 {
		t.Errorf("endless body: %d", a.status)
	}
	if n := w.Stats().Exchanges; n != 0 {
		t.Errorf("%d exchanges", n)
	}
}
