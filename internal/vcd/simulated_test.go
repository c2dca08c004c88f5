package vcd_test

import (
	"context"
	"errors"
	"net/http"
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

// world is a simulated Cloud Director and a clock for it.
type world struct {
	*sim.Server
	url string
	now time.Time
}

func simulated(t *testing.T) *world {
	t.Helper()
	w := &world{now: time.Now()}
	w.Server = sim.New(sim.Options{Life: time.Hour, Now: func() time.Time { return w.now }})
	w.url = serve(t, w.ServeHTTP)
	t.Cleanup(func() {
		if v := w.Stats().Violations; len(v) > 0 {
			t.Errorf("violations: %+v", v)
		}
	})
	return w
}

func (w *world) token(t *testing.T, token sim.VCDToken) provider.Credential {
	t.Helper()
	token.Name, token.Value = "prod", upstreamtest.Secret
	token, err := w.AddVCDToken(token)
	if err != nil {
		t.Fatal(err)
	}
	return tokenCredential(w.url, token.Org, token.Value)
}

func (w *world) user(t *testing.T, user sim.VCDUser) provider.Credential {
	t.Helper()
	user.Name, user.Password = "jo", upstreamtest.Secret
	user, err := w.AddVCDUser(user)
	if err != nil {
		t.Fatal(err)
	}
	return provider.Credential{Binding: provider.Binding{Provider: provider.VCDSession, Origin: w.url, Org: user.Org, User: user.User}, Secret: secret.New(user.Password)}
}

func TestP10RotationIsFollowed(t *testing.T) {
	w := simulated(t)
	cred := w.token(t, sim.VCDToken{Rotation: sim.RotationAlways})
	c := tokens()
	for range 3 {
		token, err := c.Exchange(t.Context(), cred, provider.Request{})
		if err != nil || token.Replacement.IsZero() || token.Replacement.Equal(cred.Secret) || token.ExpiresIn != time.Hour || token.ExpiresAt.IsZero() {
			t.Fatalf("got %+v, %v", token, err)
		}
		dead := cred
		cred.Secret = token.Replacement
		_, err = c.Exchange(t.Context(), dead, provider.Request{})
		if e := upstreamtest.MustFail(t, err, provider.Permanent, ""); e.Code != "invalid_grant" || !strings.Contains(e.Hint, "service account") {
			t.Errorf("got %+v", e)
		}
	}
	if g := w.Stats().Tokens["prod"].Generations; g[0] != 2 || g[1] != 2 || g[2] != 2 || len(g) != 3 {
		t.Errorf("generations %v", g)
	}
}

func TestP10RotationOnceAndNever(t *testing.T) {
	w := simulated(t)
	cred := w.token(t, sim.VCDToken{Rotation: sim.RotationOnce, Org: "System"})
	for i, replaced := range []bool{true, false, false} {
		token, err := tokens().Exchange(t.Context(), cred, provider.Request{})
		if err != nil || token.Replacement.IsZero() == replaced {
			t.Fatalf("exchange %d: replaced %v, %v", i, !token.Replacement.IsZero(), err)
		}
		if replaced {
			cred.Secret = token.Replacement
		}
	}
}

// The answer is lost after the server has done its work: the client can't know.
func TestP10LostAnswers(t *testing.T) {
	for name, fault := range map[string]sim.Fault{
		"dropped": {Drop: true}, "gateway times out": {Status: 504}, "broken off": {Truncate: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := simulated(t)
			cred := w.token(t, sim.VCDToken{Rotation: sim.RotationAlways})
			fault.After, fault.Times = true, 1
			w.AddFault(fault)
			token, err := tokens().Exchange(t.Context(), cred, provider.Request{})
			upstreamtest.MustFail(t, err, provider.Transient, "")
			if now, _ := w.VCDToken("prod"); now.Value == upstreamtest.Secret {
				t.Error("the server has not replaced the token")
			}
			if n := w.Stats().Exchanges; n != 1 {
				t.Errorf("%d requests: a retry uses up the next token, or condemns this one", n)
			}
			if !token.Access.IsZero() {
				t.Error("an access token beside an error")
			}
			_, err = tokens().Exchange(t.Context(), cred, provider.Request{})
			upstreamtest.MustFail(t, err, provider.Permanent, "")
		})
	}
}

func TestOrganizationIsEnforced(t *testing.T) {
	w := simulated(t)
	cred := w.token(t, sim.VCDToken{Org: "Acme"})
	if _, err := w.AddVCDUser(sim.VCDUser{Name: "other", Org: "other"}); err != nil {
		t.Fatal(err)
	}
	for org, class := range map[string]provider.Class{"acme": -1, "other": provider.Permanent, "System": provider.Permanent, "nobody": provider.Refused} {
		cred.Org = org
		_, err := tokens().Exchange(t.Context(), cred, provider.Request{})
		if class < 0 {
			if err != nil {
				t.Errorf("%s: %v", org, err)
			}
			continue
		}
		if e := upstreamtest.MustFail(t, err, class, ""); class == provider.Refused && !strings.Contains(e.Message, "no organization nobody") {
			t.Errorf("message %q", e.Message)
		}
	}
}

func TestSessionLogin(t *testing.T) {
	for _, c := range []struct {
		name      string
		user      sim.VCDUser
		org, as   string // of the binding
		endpoints string
	}{
		{"user and organization", sim.VCDUser{}, "acme", "jo", "/cloudapi/1.0.0/sessions"},
		{"user with the organization", sim.VCDUser{}, "", "jo@acme", "/cloudapi/1.0.0/sessions"},
		{"both", sim.VCDUser{}, "ACME", "jo@acme", "/cloudapi/1.0.0/sessions"},
		{"a user like an e-mail address", sim.VCDUser{User: "jo@example.com"}, "acme", "jo@example.com", "/cloudapi/1.0.0/sessions"},
		{"provider", sim.VCDUser{Org: "System"}, "system", "jo", "/cloudapi/1.0.0/sessions/provider"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := simulated(t)
			c.user.IdleMinutes = 45
			cred := w.user(t, c.user)
			cred.Org, cred.User = c.org, c.as
			var paths []string
			inner := w.Server
			cred.Origin = serve(t, func(rw http.ResponseWriter, r *http.Request) {
				paths = append(paths, r.URL.Path)
				inner.ServeHTTP(rw, r)
			})
			client := vcd.Session(upstream.New(upstream.Options{}))
			token, err := client.Exchange(t.Context(), cred, provider.Request{})
			if err != nil || token.ExpiresIn != 45*time.Minute || token.Type != "Bearer" || !token.Replacement.IsZero() {
				t.Fatalf("got %+v, %v", token, err)
			}
			if life := token.ExpiresAt.Sub(w.now); life < 59*time.Minute || life > time.Hour || token.ServerTime.IsZero() {
				t.Errorf("the token ends in %v", life)
			}
			if _, err := client.Exchange(t.Context(), cred, provider.Request{}); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(paths, " "); got != "/api/versions "+c.endpoints+" "+c.endpoints {
				t.Errorf("requests %s", got)
			}
		})
	}
}

func TestRefusedPasswordIsPermanent(t *testing.T) {
	w := simulated(t)
	cred := w.user(t, sim.VCDUser{LockAfter: 2})
	good := cred
	cred.Secret = secret.New("wr0ngWr0ng")
	for _, fault := range []sim.Fault{{}, {Empty: true}, {XML: true}} {
		w.ClearFaults()
		fault.Endpoint = sim.VCDLogin
		w.AddFault(fault)
		before := w.Stats().Exchanges
		_, err := vcd.Session(upstream.New(upstream.Options{})).Exchange(t.Context(), cred, provider.Request{})
		e := upstreamtest.MustFail(t, err, provider.Permanent, "")
		if !strings.Contains(e.Message, "jo@acme") || !strings.Contains(e.Hint, "lock") || w.Stats().Exchanges != before+1 {
			t.Errorf("got %+v", e)
		}
	}
	// The lock that was warned of.
	w.ClearFaults()
	_, err := vcd.Session(upstream.New(upstream.Options{})).Exchange(t.Context(), good, provider.Request{})
	upstreamtest.MustFail(t, err, provider.Permanent, "")
}

func TestSessionWithoutItsParts(t *testing.T) {
	origin := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the server is asked") })
	cred := func(user, org, password string) provider.Credential {
		return provider.Credential{Binding: provider.Binding{Origin: origin, User: user, Org: org}, Secret: secret.New(password)}
	}
	for name, c := range map[string]struct {
		cred  provider.Credential
		req   provider.Request
		class provider.Class
	}{
		"no password":     {cred("jo", "acme", ""), provider.Request{}, provider.Permanent},
		"no user":         {cred("", "acme", "x"), provider.Request{}, provider.Permanent},
		"no organization": {cred("jo", "", "x"), provider.Request{}, provider.Permanent},
		"nothing before":  {cred("@acme", "", "x"), provider.Request{}, provider.Permanent},
		"colon":           {cred("j:o", "acme", "x"), provider.Request{}, provider.Permanent},
		"line break":      {cred("jo\r\nX: y", "acme", "x"), provider.Request{}, provider.Permanent},
		"scope":           {cred("jo", "acme", "x"), provider.Request{Scope: []string{"a"}}, provider.Refused},
	} {
		_, err := vcd.Session(upstream.New(upstream.Options{})).Exchange(t.Context(), c.cred, c.req)
		if e := upstreamtest.MustFail(t, err, c.class, ""); e.Hint == "" {
			t.Errorf("%s: no hint", name)
		}
	}
}

func TestVersionIsNegotiatedAgainAfterAnUpgrade(t *testing.T) {
	w := simulated(t)
	cred := w.user(t, sim.VCDUser{})
	c := vcd.Session(upstream.New(upstream.Options{}))
	exchange := func() error {
		_, err := c.Exchange(t.Context(), cred, provider.Request{})
		return err
	}
	w.SetVCDVersions("36.3", "37.3")
	if err := exchange(); err != nil {
		t.Fatal(err)
	}
	w.SetVCDVersions("38.1", "39.0")
	w.ResetStats()
	if err := exchange(); err != nil {
		t.Fatal(err)
	}
	if st := w.Stats(); st.Endpoints[sim.VCDVersions] != 1 || st.Exchanges != 2 || st.Granted != 1 {
		t.Errorf("got %+v", st)
	}
	w.SetVCDVersions("9.0.0", "9.1.0")
	if err := exchange(); err != nil {
		t.Fatal(err)
	}
	w.SetVCDVersions("40.0")
	e := upstreamtest.MustFail(t, exchange(), provider.WrongServer, "")
	if !strings.Contains(e.Message, "no version") {
		t.Errorf("message %q", e.Message)
	}
	// A server that refuses the version that it offers is not asked for ever.
	w.SetVCDVersions("39.0")
	w.AddFault(sim.Fault{Endpoint: sim.VCDLogin, Status: 406})
	w.ResetStats()
	upstreamtest.MustFail(t, exchange(), provider.Refused, "")
	if n := w.Stats().Exchanges; n != 2 {
		t.Errorf("%d logins", n)
	}
}

func TestNoCloudDirector(t *testing.T) {
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		class  provider.Class
	}{
		"404":        {upstreamtest.Say(404, "text/plain", "404"), provider.WrongServer},
		"JSON":       {upstreamtest.SayJSON(200, `{}`), provider.WrongServer},
		"other XML":  {upstreamtest.Say(200, "text/xml", `<a/>`), provider.WrongServer},
		"web page":   {upstreamtest.Say(200, "text/html", `<html></html>`), provider.Transient},
		"failing":    {upstreamtest.Say(503, "", ""), provider.Transient},
		"redirected": {upstreamtest.Say(302, "", "", "Location", "https://x.example.com/"), provider.WrongServer},
	} {
		t.Run(name, func(t *testing.T) {
			origin := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/api/versions" || r.Header.Get("Authorization") != "" {
					t.Errorf("%s with %q: the password goes to a server that is none", r.URL.Path, r.Header.Get("Authorization"))
				}
				c.answer(w, r)
			})
			cred := provider.Credential{Binding: provider.Binding{Origin: origin, User: "jo", Org: "acme"}, Secret: secret.New(upstreamtest.Secret)}
			_, err := vcd.Session(upstream.New(upstream.Options{})).Exchange(t.Context(), cred, provider.Request{})
			upstreamtest.MustFail(t, err, c.class, "")
		})
	}
}

func TestHangingServerTimesOutAfterTheWork(t *testing.T) {
	w := simulated(t)
	t.Cleanup(w.Release)
	cred := w.token(t, sim.VCDToken{Rotation: sim.RotationAlways})
	w.AddFault(sim.Fault{Hang: true, After: true, Times: 1})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := tokens().Exchange(ctx, cred, provider.Request{})
		done <- err
	}()
	deadline, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	if err := w.WaitGranted(deadline, 1); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if now, _ := w.VCDToken("prod"); now.Value == upstreamtest.Secret {
		t.Error("the server has not replaced the token")
	}
}
