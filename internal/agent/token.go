package agent

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
)

// errSuperseded: the secret was replaced while it was being exchanged.
var errSuperseded = errors.New("the secret was replaced during the exchange")

// Token returns a token with at least the life that was asked for, and the
// warning that is due, if any. Its errors are of type *ipc.Error.
func (a *Agent) Token(ctx context.Context, req ipc.TokenRequest) (ipc.Token, error) {
	var need time.Duration
	if req.MinTTL != "" {
		d, bad := ipc.ParseDuration(req.MinTTL)
		if bad != nil {
			return ipc.Token{}, bad
		}
		need = d
	}
	switch req.Kind {
	case "", ipc.KindAccess:
		req.Kind = ipc.KindAccess
	case ipc.KindID:
	default:
		return ipc.Token{}, errorf(ipc.CodeBadRequest, "kinds are access and id", "there is no such kind of token")
	}
	// A secret that is replaced while a caller waits is exchanged anew for it.
	for range 3 {
		acct, rec, bad := a.find(req.Profile)
		if bad != nil {
			return ipc.Token{}, bad
		}
		e, err := a.entryFor(ctx, acct, rec, req, need)
		if errors.Is(err, errSuperseded) {
			continue
		}
		if err != nil {
			return ipc.Token{}, wireError(err, acct.name)
		}
		return a.reply(acct.name, rec, req, need, e)
	}
	return ipc.Token{}, errorf(ipc.CodeNotLoggedIn, "try again", "the profile is being changed")
}

// entryFor returns a token from the cache, or from an exchange.
func (a *Agent) entryFor(ctx context.Context, acct *account, rec Record, req ipc.TokenRequest, need time.Duration) (*entry, error) {
	if rec.LoggedOut {
		return nil, provider.ErrNoSecret
	}
	up := upstream(rec, req)
	now := a.Clock.Now()

	acct.mu.Lock()
	s := acct.slot(up)
	s.usage.note(now, need)
	if !req.Fresh && up.Passcode.IsZero() && s.entry.good(now, need) {
		acct.hits++
		a.nudge(acct, s, now)
		e := s.entry
		acct.mu.Unlock()
		return e, nil
	}
	f, err := a.board(acct, s, rec, up, req, now, need)
	acct.mu.Unlock()
	if err != nil {
		return nil, err
	}

	select {
	case <-f.done:
	case <-ctx.Done():
		return nil, errorf(ipc.CodeUnreachable, "try again", "no answer in time for profile %s", acct.name)
	}
	if f.err != nil {
		return nil, f.err
	}
	if left := f.entry.left(a.Clock.Now()); !f.entry.unknown && left < f.entry.required(need) {
		return nil, errTooShort(acct.name, f.entry.total)
	} else if f.entry.unknown && need > 0 {
		return nil, errorf(ipc.CodeMinTTL, "ask without --min-ttl", "the server does not say how long its tokens live")
	}
	return f.entry, nil
}

// board finds the flight that a caller may wait for, or starts one, or says
// why there is none. The caller holds acct.mu.
func (a *Agent) board(acct *account, s *slot, rec Record, up provider.Request, req ipc.TokenRequest, now Instant, need time.Duration) (*flight, error) {
	if !up.Passcode.IsZero() {
		// Each passcode goes upstream, once, and only for whoever gave it.
		f := newFlight(false)
		a.start(acct, nil, f, rec, up)
		return f.join(req.Interactive), nil
	}
	if s.running != nil && !req.Fresh {
		return s.running.join(req.Interactive), nil
	}
	if s.queued != nil {
		return s.queued.join(req.Interactive), nil
	}
	for _, t := range []*trouble{acct.trouble, s.trouble} {
		if err := t.blocks(now, req.Fresh, false); err != nil {
			return nil, err
		}
	}
	if e := s.entry; !req.Fresh && e != nil && need > e.total && e.obtained.Since(now) < e.minInterval() {
		// The server was asked a moment ago, and can't give that much.
		return nil, errTooShort(acct.name, e.total)
	}
	f := newFlight(false)
	a.launch(acct, s, f, rec)
	return f.join(req.Interactive), nil
}

func errTooShort(profile string, total time.Duration) *ipc.Error {
	return errorf(ipc.CodeMinTTL, "ask for less with --min-ttl",
		"the tokens of profile %s live for %s, less than was asked for", profile, total.Truncate(time.Second))
}

func (a *Agent) reply(profile string, rec Record, req ipc.TokenRequest, need time.Duration, e *entry) (ipc.Token, error) {
	now := a.Clock.Now()
	t := ipc.Token{
		TokenType: "Bearer",
		Kind:      req.Kind,
		Profile:   profile,
		Provider:  rec.Provider,
		Scope:     e.scope,
		Warning:   rec.warning(profile, now.Wall),
	}
	left := e.left(now)
	value := e.access
	if req.Kind == ipc.KindID {
		value = e.id
		left -= e.idShorter
		if value.IsZero() {
			return ipc.Token{}, errorf(ipc.CodeRefusedForNow, "make an API token with Open ID checked in the console, then: cspctl login "+profile,
				"the server gives no ID token for profile %s", profile)
		}
		if left <= 0 || need > left {
			return ipc.Token{}, errTooShort(profile, e.total-e.idShorter)
		}
	}
	t.AccessToken = secret.Wire{Text: value}
	if !e.unknown {
		t.ExpiresAt = now.Wall.Add(left).UTC().Truncate(time.Second)
		t.ExpiresIn = int64(left / time.Second)
	}
	return t, nil
}

// upstream is what goes to the server for a request: the profile's own scope,
// unless the request names one.
func upstream(rec Record, req ipc.TokenRequest) provider.Request {
	up := provider.Request{Scope: rec.Scope, ResourceScope: rec.ResourceScope, Passcode: req.Passcode.Text}
	if len(req.Scope) > 0 {
		up.Scope = req.Scope
	}
	if req.ResourceScope != "" {
		up.ResourceScope = req.ResourceScope
	}
	return up
}

func keyOf(up provider.Request) key {
	return key{strings.Join(up.Scope, " "), up.ResourceScope}
}
