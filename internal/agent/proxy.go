package agent

import (
	"context"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
)

// ProxyProvider is a Provider whose sessions have proxy tokens.
type ProxyProvider interface {
	ProxyToken(ctx context.Context, c provider.Credential, bearer secret.Text) (provider.ProxyToken, error)
}

// proxyEntry is a cached proxy token. It is renewed when somebody asks.
type proxyEntry struct {
	life
	provider.ProxyToken
}

func (e *proxyEntry) good(now Instant, need time.Duration) bool {
	if e == nil || e.total <= 0 {
		return false
	}
	if need == 0 {
		need = max(e.floor(), 1)
	}
	return e.left(now) >= need
}

// proxyToken returns the proxy token of a profile's session, from the cache or
// from the server.
func (a *Agent) proxyToken(ctx context.Context, in *period, rec Record, req ipc.TokenRequest, need time.Duration) (ipc.Token, error) {
	p, ok := a.Providers[rec.Provider].(ProxyProvider)
	if !ok {
		return ipc.Token{}, errorf(ipc.CodeBadRequest, "ask for the access token", "profile %s is no Cloud Director, and has no proxy tokens", rec.account.name)
	}
	if rec.LoggedOut {
		return ipc.Token{}, provider.ErrNoSecret
	}
	acct := rec.account
	cached := func() *proxyEntry {
		acct.mu.Lock()
		defer acct.mu.Unlock()
		return acct.proxy
	}
	if e := cached(); !req.Fresh && e.good(a.Clock.Now(), need) {
		return e.token(rec, a.Clock.Now()), nil
	}
	if err := take(ctx, acct.proxyTurn); err != nil {
		return ipc.Token{}, errorf(ipc.CodeUnreachable, "try again", "no answer in time for profile %s", acct.name)
	}
	defer func() { acct.proxyTurn <- struct{}{} }()
	if e := cached(); !req.Fresh && e.good(a.Clock.Now(), need) {
		return e.token(rec, a.Clock.Now()), nil // somebody else has asked meanwhile
	}
	acct.mu.Lock()
	wipes := acct.wipes
	acct.mu.Unlock()
	ctx, done := in.within(ctx)
	defer done()
	e, err := a.askProxy(ctx, in, p, rec, req)
	if err != nil {
		return ipc.Token{}, err
	}
	acct.mu.Lock()
	if acct.wipes == wipes {
		acct.proxy = e
	}
	acct.mu.Unlock()
	now := a.Clock.Now()
	if need > 0 && !e.good(now, need) {
		return ipc.Token{}, errorf(ipc.CodeMinTTL, "ask for less with --min-ttl", "the proxy tokens of profile %s do not live that long", acct.name)
	}
	return e.token(rec, now), nil
}

// askProxy asks the server, with the profile's access token. A session that
// ended before its token did (an idle timeout) is opened anew, once.
func (a *Agent) askProxy(ctx context.Context, in *period, p ProxyProvider, rec Record, req ipc.TokenRequest) (*proxyEntry, error) {
	cred := provider.Credential{Binding: provider.Binding(rec.binding()), CA: []byte(rec.CA)}
	bearer := ipc.TokenRequest{Profile: rec.account.name, Interactive: req.Interactive, Passcode: req.Passcode}
	for {
		t, err := a.tokenFor(ctx, in, rec, bearer, ask{})
		if err != nil {
			return nil, err
		}
		callCtx, cancel := context.WithTimeout(ctx, flightTime)
		got, err := p.ProxyToken(callCtx, cred, t.AccessToken.Text)
		cancel()
		if pe, ok := provider.AsError(err); ok && pe.Status == 401 && !bearer.Fresh {
			bearer.Fresh = true
			continue
		}
		if err != nil {
			return nil, err
		}
		now := a.Clock.Now()
		e := &proxyEntry{ProxyToken: got}
		if !got.ExpiresAt.IsZero() {
			total := got.ExpiresAt.Sub(now.Wall)
			e.life = life{obtained: now, end: now.Add(total), total: total}
			if total <= 0 {
				return nil, useless(errBornDead)
			}
		}
		return e, nil
	}
}

func (e *proxyEntry) token(rec Record, now Instant) ipc.Token {
	t := ipc.Token{
		AccessToken: secret.Wire{Text: e.Token},
		TokenType:   "Proxy",
		Kind:        ipc.KindProxy,
		Profile:     rec.account.name,
		Provider:    rec.Provider,
		Proxy: &ipc.ProxyToken{
			ID: e.ID, Name: e.Name, Type: e.Type, Owner: e.Owner.Name, Org: e.Org.Name,
			Username: e.Username, RequireRotation: e.RequireRotation,
		},
	}
	if e.total > 0 {
		left := e.left(now)
		t.ExpiresAt, t.ExpiresIn = now.Wall.Add(left).UTC().Truncate(time.Second), int64(left/time.Second)
	}
	return t
}
