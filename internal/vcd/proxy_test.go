package vcd_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
	"github.com/cspctl/cspctl/internal/sim"
	"github.com/cspctl/cspctl/internal/upstream"
	"github.com/cspctl/cspctl/internal/upstream/upstreamtest"
	"github.com/cspctl/cspctl/internal/vcd"
)

// both are the providers, each with a credential that works.
func both(t *testing.T, w *world) map[string]func(context.Context) (provider.ProxyToken, error) {
	t.Helper()
	up := upstream.New(upstream.Options{})
	api, user := w.token(t, sim.VCDToken{User: "jo"}), w.user(t, sim.VCDUser{})
	one, err := vcd.APIToken(up).Exchange(t.Context(), api, provider.Request{})
	if err != nil {
		t.Fatal(err)
	}
	two, err := vcd.Session(up).Exchange(t.Context(), user, provider.Request{})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]func(context.Context) (provider.ProxyToken, error){
		"vcd": func(ctx context.Context) (provider.ProxyToken, error) {
			return vcd.APIToken(up).ProxyToken(ctx, api, one.Access)
		},
		"vcd-session": func(ctx context.Context) (provider.ProxyToken, error) {
			return vcd.Session(up).ProxyToken(ctx, user, two.Access)
		},
	}
}

func TestProxyToken(t *testing.T) {
	w := simulated(t)
	for name, get := range both(t, w) {
		got, err := get(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got.Token.Len() != 40 || got.Type != "PROXY" || got.Username != "jo" || got.Org.Name != "acme" || got.Owner.ID == "" || got.RequireRotation != nil ||
			!strings.HasPrefix(got.ID, "urn:vcloud:token:") || got.ExpiresAt.Sub(w.now) > time.Hour || got.ExpiresAt.Before(w.now) {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

func TestProxyTokenFailures(t *testing.T) {
	for _, c := range []struct {
		name    string
		fault   sim.Fault
		end     bool
		class   provider.Class
		status  int
		message string
	}{
		{name: "session ended", end: true, class: provider.Refused, status: 401, message: "session has ended"},
		{name: "refused like a grant", fault: sim.Fault{Endpoint: sim.VCDSession, Body: `{"minorErrorCode":"invalid_grant"}`, Status: 400}, class: provider.Refused, status: 400, message: "does not accept the access token"},
		{name: "no such token", fault: sim.Fault{Endpoint: sim.VCDProxyToken, Status: 404}, class: provider.Refused, status: 404, message: "no proxy token"},
		{name: "not configured", fault: sim.Fault{Endpoint: sim.VCDProxyToken, Status: 400, Message: "Invalid configuration", XML: true, StackTrace: 1 << 20}, class: provider.Refused, status: 400, message: "Invalid configuration"},
		{name: "failing", fault: sim.Fault{Endpoint: sim.VCDProxyToken, Status: 500}, class: provider.Transient, status: 500, message: "500"},
		{name: "no session", fault: sim.Fault{Endpoint: sim.VCDSession, WrongJSON: true}, class: provider.WrongServer, status: 200, message: "no session"},
		{name: "session that leads elsewhere", fault: sim.Fault{Endpoint: sim.VCDSession, Body: `{"id":"../../1.0.0/users"}`}, class: provider.WrongServer, status: 200, message: "no session"},
		{name: "not a token", fault: sim.Fault{Endpoint: sim.VCDProxyToken, AccessToken: "a b"}, class: provider.WrongServer, status: 200, message: "characters"},
		{name: "shell", fault: sim.Fault{Endpoint: sim.VCDProxyToken, AccessToken: "a\n$(reboot)"}, class: provider.WrongServer, status: 200, message: "characters"},
		{name: "the stored secret", fault: sim.Fault{Endpoint: sim.VCDProxyToken, AccessToken: "x" + upstreamtest.Secret}, class: provider.WrongServer, status: 200, message: "stored secret"},
		{name: "web page", fault: sim.Fault{Endpoint: sim.VCDProxyToken, HTML: true}, class: provider.Transient, status: 200, message: "web page"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := simulated(t)
			for name, get := range both(t, w) {
				w.ClearFaults()
				w.AddFault(c.fault)
				if c.end {
					w.EndSessions()
				}
				got, err := get(t.Context())
				e := upstreamtest.MustFail(t, err, c.class, "")
				if !got.Token.IsZero() || e.Status != c.status || !strings.Contains(e.Message, c.message) {
					t.Errorf("%s: got %+v", name, e)
				}
			}
		})
	}
}

func TestIdleSessionEnds(t *testing.T) {
	w := simulated(t)
	get := both(t, w)["vcd-session"]
	for range 3 { // activity keeps it alive
		w.now = w.now.Add(25 * time.Minute / 2)
		if _, err := get(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.now = w.now.Add(31 * time.Minute)
	_, err := get(t.Context())
	if e := upstreamtest.MustFail(t, err, provider.Refused, ""); e.Status != 401 {
		t.Errorf("got %+v", e)
	}
}

func TestProxyTokenWithoutBearer(t *testing.T) {
	_, err := tokens().ProxyToken(t.Context(), tokenCredential("https://vcd.example.com", "acme", "x"), secret.Text{})
	upstreamtest.MustFail(t, err, provider.Refused, "")
}
