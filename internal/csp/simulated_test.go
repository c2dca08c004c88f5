package csp_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/csp"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
	"github.com/cspctl/cspctl/internal/sim"
	"github.com/cspctl/cspctl/internal/upstream/upstreamtest"
)

// simulated starts a simulator that knows upstreamtest.Secret as the API token of "prod".
func simulated(t *testing.T, token sim.APIToken) (*sim.Server, provider.Credential) {
	t.Helper()
	s := sim.New(sim.Options{})
	token.Name, token.Value = "prod", upstreamtest.Secret
	if _, err := s.AddToken(token); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	t.Cleanup(func() {
		if v := s.Stats().Violations; len(v) > 0 {
			t.Errorf("violations: %+v", v)
		}
	})
	return s, credential(server.URL, upstreamtest.Secret)
}

func TestExchangeAndDetails(t *testing.T) {
	_, cred := simulated(t, sim.APIToken{OpenID: true, Org: "org-1", ExpiresIn: sim.Duration(20 * 24 * time.Hour)})
	c := csp.New(csp.Options{})
	begun := time.Now().Truncate(time.Second)
	got, err := c.Exchange(t.Context(), cred, provider.Request{})
	if err != nil {
		t.Fatal(err)
	}
	if got.Type != "Bearer" || got.ExpiresIn != 1799*time.Second || got.ExpiresAt.Sub(got.IssuedAt) != 1800*time.Second || got.ID.IsZero() || !strings.Contains(got.Scope, "ALL_PERMISSIONS") {
		t.Errorf("got %+v", got)
	}
	if got.ServerTime.Before(begun) || got.IssuedAt.Before(begun) {
		t.Errorf("server time %v, issued at %v, begun %v", got.ServerTime, got.IssuedAt, begun)
	}
	d, err := c.Details(t.Context(), cred)
	if err != nil {
		t.Fatal(err)
	}
	left := time.Until(d.Expiry.At)
	if d.OrgID != "org-1" || !d.Expiry.Known || left < 479*time.Hour || left > 480*time.Hour || d.LastUsedAt.IsZero() || d.Deactivated {
		t.Errorf("got %+v", d)
	}
}

// A refused exchange is judged by one call to details.
func TestInvalidGrantIsJudged(t *testing.T) {
	plain, withCode := provider.Request{}, provider.Request{Passcode: secret.New("111111")}
	scoped := provider.Request{Scope: []string{"openid"}}
	for _, c := range []struct {
		name    string
		token   sim.APIToken
		revoke  bool
		fault   sim.Fault // of details
		req     provider.Request
		class   provider.Class
		message string
	}{
		{name: "second factor", token: sim.APIToken{Passcode: "222222"}, req: plain, class: provider.PasscodeNeeded, message: "asks for a passcode"},
		{name: "wrong passcode", token: sim.APIToken{Passcode: "222222"}, req: withCode, class: provider.Refused, message: "passcode"},
		{name: "second factor, scope asked for", token: sim.APIToken{Passcode: "222222"}, req: scoped, class: provider.Refused, message: "what was asked for"},
		{name: "second factor, details failing", token: sim.APIToken{Passcode: "222222"}, fault: sim.Fault{Status: 503}, req: plain, class: provider.Permanent, message: "does not accept"},
		{name: "wrong passcode, details failing", token: sim.APIToken{Passcode: "222222"}, fault: sim.Fault{Status: 503}, req: withCode, class: provider.Refused, message: "passcode"},
		{name: "revoked", revoke: true, req: plain, class: provider.Permanent, message: "expired, revoked or unknown"},
		{name: "revoked, with a passcode", revoke: true, req: withCode, class: provider.Permanent, message: "expired, revoked or unknown"},
		{name: "revoked, scope asked for", revoke: true, req: scoped, class: provider.Permanent, message: "expired, revoked or unknown"},
		{name: "deactivated", token: sim.APIToken{Deactivated: true}, req: plain, class: provider.Permanent, message: "deactivated"},
		{name: "deactivated, with a passcode", token: sim.APIToken{Deactivated: true}, req: withCode, class: provider.Permanent, message: "deactivated"},
		{name: "expired", token: sim.APIToken{ExpiresIn: sim.Duration(-time.Hour)}, req: plain, class: provider.Permanent, message: "expired, revoked or unknown"},
		{name: "expired, and details tell so", token: sim.APIToken{Deactivated: true}, fault: sim.Fault{Body: `{"tokenId":"x","expiresAt":1600000000}`}, req: plain, class: provider.Permanent, message: "expired on 2020-09-13"},
		{name: "second factor, never expires", token: sim.APIToken{Passcode: "222222", Never: true}, req: plain, class: provider.PasscodeNeeded, message: "passcode"},
	} {
		for _, status := range []int{400, 404} {
			t.Run(c.name, func(t *testing.T) {
				s, cred := simulated(t, c.token)
				if c.revoke {
					s.Revoke("prod")
				}
				s.AddFault(sim.Fault{Endpoint: sim.Authorize, GrantStatus: status})
				c.fault.Endpoint = sim.Details
				s.AddFault(c.fault)
				_, err := csp.New(csp.Options{}).Exchange(t.Context(), cred, c.req)
				e := upstreamtest.MustFail(t, err, c.class, "")
				if !strings.Contains(e.Message, c.message) || e.Hint == "" {
					t.Errorf("message %q, hint %q", e.Message, e.Hint)
				}
				if st := s.Stats(); st.Exchanges != 1 || st.Details != 1 {
					t.Errorf("%d exchanges, %d details calls", st.Exchanges, st.Details)
				}
			})
		}
	}
}

func TestPasscodeAndScopeAreGranted(t *testing.T) {
	_, cred := simulated(t, sim.APIToken{Passcode: "222222", Scopes: []string{"openid", "one"}})
	got, err := csp.New(csp.Options{}).Exchange(t.Context(), cred, provider.Request{Passcode: secret.New("222222"), Scope: []string{"one"}})
	if err != nil || got.Scope != "one" {
		t.Errorf("got %q, %v", got.Scope, err)
	}
	_, err = csp.New(csp.Options{}).Exchange(t.Context(), cred, provider.Request{Passcode: secret.New("222222"), Scope: []string{"two"}})
	if e := upstreamtest.MustFail(t, err, provider.Refused, ""); !strings.Contains(e.Message, "invalid_scope") {
		t.Errorf("message %q", e.Message)
	}
}

func TestFaultyTransfers(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault sim.Fault
		class provider.Class
		ok    bool
		text  string
	}{
		{name: "compressed", fault: sim.Fault{Gzip: true}, ok: true},
		{name: "compressed refusal", fault: sim.Fault{Gzip: true, Status: 403, Message: "policy of the night"}, class: provider.Refused, text: "policy of the night"},
		{name: "a bomb", fault: sim.Fault{Gzip: true, Pad: 3 << 20}, class: provider.WrongServer, text: "more than 1 MiB"},
		{name: "a failing bomb", fault: sim.Fault{Gzip: true, Pad: 3 << 20, Status: 503}, class: provider.Transient, text: "503"},
		{name: "broken off", fault: sim.Fault{Truncate: true}, class: provider.Transient, text: "broke off"},
		{name: "broken off while compressed", fault: sim.Fault{Truncate: true, Gzip: true}, class: provider.Transient, text: "broke off"},
		{name: "dropped", fault: sim.Fault{Drop: true}, class: provider.Transient, text: "can't reach"},
		{name: "large token", fault: sim.Fault{TokenSize: 40 << 10}, ok: true},
		{name: "huge token", fault: sim.Fault{TokenSize: 70 << 10}, class: provider.WrongServer, text: "64 KiB"},
		{name: "shell token", fault: sim.Fault{AccessToken: "'; reboot #"}, class: provider.WrongServer, text: "characters"},
		{name: "two lines", fault: sim.Fault{AccessToken: "abc\nInjected: header"}, class: provider.WrongServer, text: "characters"},
		{name: "echo of all", fault: sim.Fault{Status: 400, Message: "bad token " + upstreamtest.Secret}, class: provider.Refused, text: "bad token"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, cred := simulated(t, sim.APIToken{})
			s.AddFault(c.fault)
			got, err := csp.New(csp.Options{}).Exchange(t.Context(), cred, provider.Request{})
			if c.ok {
				if err != nil || got.Access.Len() < c.fault.TokenSize || got.ExpiresAt.IsZero() {
					t.Errorf("got %d bytes, %v", got.Access.Len(), err)
				}
				return
			}
			if e := upstreamtest.MustFail(t, err, c.class, ""); !strings.Contains(e.Message, c.text) {
				t.Errorf("message %q", e.Message)
			}
			if n := s.Stats().Exchanges; n != 1 {
				t.Errorf("%d exchanges: the client must not retry", n)
			}
		})
	}
}

func TestT2ServerTimeAndClaimsAreTheServers(t *testing.T) {
	s, cred := simulated(t, sim.APIToken{})
	s.AddFault(sim.Fault{Skew: sim.Duration(-3 * time.Hour)})
	got, err := csp.New(csp.Options{}).Exchange(t.Context(), cred, provider.Request{})
	if err != nil {
		t.Fatal(err)
	}
	if skew := time.Since(got.ServerTime); skew < 179*time.Minute || skew > 181*time.Minute || got.ExpiresAt.Sub(got.ServerTime) < 1799*time.Second {
		t.Errorf("server time %v, expires at %v", got.ServerTime, got.ExpiresAt)
	}
	if got.ExpiresIn != 1799*time.Second {
		t.Errorf("expires in %v", got.ExpiresIn)
	}
}

func TestDetailsInMilliseconds(t *testing.T) {
	s, cred := simulated(t, sim.APIToken{})
	c := csp.New(csp.Options{})
	seconds, err := c.Details(t.Context(), cred)
	if err != nil {
		t.Fatal(err)
	}
	s.AddFault(sim.Fault{Endpoint: sim.Details, Milliseconds: true})
	millis, err := c.Details(t.Context(), cred)
	if err != nil || !millis.Expiry.At.Truncate(time.Second).Equal(seconds.Expiry.At) || len(millis.RawTimes["expiresAt"]) != 13 {
		t.Errorf("got %+v, %v; want %+v", millis.Expiry, err, seconds.Expiry)
	}
}

func TestSlowServerTimesOut(t *testing.T) {
	s, cred := simulated(t, sim.APIToken{})
	s.AddFault(sim.Fault{Hang: true})
	for name, o := range map[string]csp.Options{
		"header": {HeaderTimeout: 50 * time.Millisecond},
		"call":   {CallTimeout: 50 * time.Millisecond},
	} {
		_, err := csp.New(o).Exchange(t.Context(), cred, provider.Request{})
		if e := upstreamtest.MustFail(t, err, provider.Transient, ""); !strings.Contains(e.Message, "did not answer in time") {
			t.Errorf("%s: %q", name, e.Message)
		}
	}
}

// secure serves the simulator over TLS with a CA of its own.
func secure(t *testing.T, hosts ...string) provider.Credential {
	t.Helper()
	s := sim.New(sim.Options{})
	if _, err := s.AddToken(sim.APIToken{Name: "prod", Value: upstreamtest.Secret}); err != nil {
		t.Fatal(err)
	}
	server, ca := upstreamtest.Secure(t, s, hosts...)
	cred := credential(server.URL, upstreamtest.Secret)
	cred.CA = ca
	return cred
}

func TestPrivateCAVouchesForItsProfileAlone(t *testing.T) {
	cred := secure(t, "127.0.0.1")
	c := csp.New(csp.Options{})
	if _, err := c.Exchange(t.Context(), cred, provider.Request{}); err != nil {
		t.Fatal(err)
	}
	// The connection that the CA vouched for is still open.
	bare := cred
	bare.CA = nil
	_, err := c.Exchange(t.Context(), bare, provider.Request{})
	e := upstreamtest.MustFail(t, err, provider.Transient, "")
	if !strings.Contains(e.Message, "unknown authority: csp-sim CA") || !strings.Contains(e.Hint, "--ca-file") {
		t.Errorf("message %q, hint %q", e.Message, e.Hint)
	}
	if _, err := csp.New(csp.Options{ExtraCA: cred.CA}).Exchange(t.Context(), bare, provider.Request{}); err != nil {
		t.Errorf("with the CA for all: %v", err)
	}
	bare.CA = []byte("no certificate")
	_, err = c.Exchange(t.Context(), bare, provider.Request{})
	if e := upstreamtest.MustFail(t, err, provider.Transient, ""); !strings.Contains(e.Message, "PEM") {
		t.Errorf("message %q", e.Message)
	}
}

func TestUntrustedConnections(t *testing.T) {
	cred := secure(t, "other.example.com")
	_, err := csp.New(csp.Options{}).Exchange(t.Context(), cred, provider.Request{})
	if e := upstreamtest.MustFail(t, err, provider.Transient, ""); !strings.Contains(e.Message, "for another name") {
		t.Errorf("message %q", e.Message)
	}
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	_, err = csp.New(csp.Options{}).Exchange(t.Context(), credential("https"+strings.TrimPrefix(plain.URL, "http"), upstreamtest.Secret), provider.Request{})
	if e := upstreamtest.MustFail(t, err, provider.Transient, ""); !strings.Contains(e.Message, "does not speak TLS") {
		t.Errorf("message %q", e.Message)
	}
}
