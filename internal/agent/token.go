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

// errAgain: the profile has changed while the caller waited, or the machine
// slept so long that the answer is stale. The caller looks again.
var errAgain = errors.New("the profile has changed in the meantime")

// Token returns a token with at least the life that was asked for, and the
// warning that is due, if any. Its errors are of type *ipc.Error.
func (a *Agent) Token(ctx context.Context, req ipc.TokenRequest) (ipc.Token, error) {
	q, bad := askOf(req)
	if bad == nil {
		bad = checkWarnings(req.Warnings)
	}
	if bad != nil {
		return ipc.Token{}, bad
	}
	p, bad := a.enter()
	if bad != nil {
		return ipc.Token{}, bad
	}
	for range 5 {
		rec, bad := a.find(req.Profile)
		if bad != nil && bad.Code == ipc.CodeNoSuchProfile {
			// Another agent on the same state may have made it just now.
			if _, bad := a.state.refresh(); bad != nil {
				return ipc.Token{}, bad
			}
			rec, bad = a.find(req.Profile)
		}
		if bad != nil {
			return ipc.Token{}, bad
		}
		var t ipc.Token
		var err error
		if req.Kind == ipc.KindProxy {
			t, err = a.proxyToken(ctx, p, rec, req, q.need)
		} else {
			t, err = a.tokenFor(ctx, p, rec, req, q)
		}
		switch {
		case p.ended():
			return ipc.Token{}, errLocked
		case err == nil:
			return t, nil
		case !errors.Is(err, errAgain):
			return ipc.Token{}, wireError(err, rec.account.name)
		}
	}
	return ipc.Token{}, errorf(ipc.CodeBusy, "try again", "the profile is being changed")
}

func askOf(req ipc.TokenRequest) (ask, *ipc.Error) {
	var q ask
	switch req.Kind {
	case "", ipc.KindAccess:
	case ipc.KindID:
		q.id = true
	case ipc.KindProxy:
	default:
		return q, errorf(ipc.CodeBadRequest, "kinds are access, id and proxy", "there is no such kind of token")
	}
	if req.MinTTL != "" {
		need, bad := ipc.ParseDuration(req.MinTTL)
		if bad != nil {
			return q, bad
		}
		q.need = need
	}
	if req.MaxAge != "" {
		age, bad := ipc.ParseDuration(req.MaxAge)
		if bad != nil {
			return q, bad
		}
		q.maxAge = max(age, leastAge)
	}
	if len(req.Caller) > maxCaller || strings.ContainsFunc(req.Caller, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return q, errorf(ipc.CodeBadRequest, "send up to 64 characters without spaces", "that is no name for a caller")
	}
	q.half = req.HalfLife
	return q, nil
}

// tokenFor returns a token from the cache, or from an exchange, to a caller who
// came in p.
func (a *Agent) tokenFor(ctx context.Context, p *period, rec Record, req ipc.TokenRequest, q ask) (ipc.Token, error) {
	if rec.LoggedOut {
		return ipc.Token{}, provider.ErrNoSecret
	}
	acct, up := rec.account, upstream(rec, req)
	now := a.Clock.Now()

	acct.mu.Lock()
	s, bad := acct.slot(up)
	if bad != nil {
		acct.mu.Unlock()
		return ipc.Token{}, bad
	}
	wanted := s.entry.wanted(q)
	if req.Spare {
		wanted = 0 // nor is it renewed sooner for them
	}
	s.usage.note(now, wanted)
	cached := s.entry
	if acct.callers.again(req.Caller, now) {
		q.maxAge = leastAge
	}
	if !req.Fresh && up.Passcode.IsZero() && cached.good(now, q) && cached.better(now, q) {
		acct.hits++
		a.nudge(acct, s, now)
		acct.mu.Unlock()
		return a.answer(cached, rec, req, q, now)
	}
	acct.misses++
	f, err := a.board(acct, s, up, req, now, q)
	acct.mu.Unlock()
	if err != nil {
		return a.orOlder(s, rec, req, q, err)
	}

	if q.half || q.maxAge > 0 {
		// Nobody waits long for a better token while there is a good one.
		patience := time.NewTimer(betterTime)
		err = f.arrive(ctx, p, patience.C, acct.name)
		patience.Stop()
		if err != nil {
			if t, err := a.orOlder(s, rec, req, q, err); err == nil {
				return t, nil
			}
		}
	}
	if err := f.arrive(ctx, p, nil, acct.name); err != nil {
		return ipc.Token{}, err
	}
	now = a.Clock.Now()
	switch e := f.entry; {
	case f.err != nil && req.Interactive && !bool(f.prompted) && wireError(f.err, "").Code == ipc.CodeStoreLocked:
		return ipc.Token{}, errAgain // this caller can do better: the keychain may ask
	case f.err != nil:
		return a.orOlder(s, rec, req, q, f.err)
	case e.good(now, q), e.unknown && q.need == 0:
		return a.answer(e, rec, req, q, now)
	case e.gave < e.required(q):
		return ipc.Token{}, e.tooShort(acct.name, q)
	}
	return ipc.Token{}, errAgain
}

// board finds the flight that a caller may wait for, or starts one, or says
// why there is none. The caller holds acct.mu.
func (a *Agent) board(acct *account, s *slot, up provider.Request, req ipc.TokenRequest, now Instant, q ask) (*flight, error) {
	if !up.Passcode.IsZero() {
		// Each passcode goes upstream, once, and only for whoever gave it.
		f := newFlight().join(req)
		a.start(acct, nil, f, up)
		return f, nil
	}
	if s.running != nil && !req.Fresh {
		return s.running.join(req), nil
	}
	if s.queued != nil {
		return s.queued.join(req), nil
	}
	if err := acct.blocked(s, now, req.Fresh, false); err != nil {
		return nil, err
	}
	if e := s.last; !req.Fresh && e != nil && e.gave < e.required(q) && e.obtained.Since(now) < e.minInterval() {
		return nil, e.tooShort(acct.name, q) // it was asked a moment ago
	}
	if err := acct.spared(s, now, req, q); err != nil {
		return nil, err
	}
	f := newFlight().join(req)
	a.launch(acct, s, f)
	return f, nil
}

// sparePause is how long after an exchange another one may be had by a caller
// with Spare set who could do without it.
const sparePause = time.Minute

// spared returns the error that answers a caller with Spare set, if the token
// would do for others and is less than a minute old. The caller holds acct.mu.
func (acct *account) spared(s *slot, now Instant, req ipc.TokenRequest, q ask) *ipc.Error {
	if !req.Spare || s.last == nil || !s.entry.good(now, ask{id: q.id}) {
		return nil
	}
	left := sparePause - s.last.obtained.Since(now)
	if left <= 0 {
		return nil
	}
	e := errorf(ipc.CodeBusy, "try again then, or leave out --fresh and --min-ttl",
		"the token of profile %s is new, and another one can be had in %d seconds", acct.name, seconds(left))
	e.Retry = seconds(left)
	return e
}

// tooShort is the answer to a caller whom the server cannot please.
func (e *entry) tooShort(profile string, q ask) *ipc.Error {
	if e.unknown {
		return errorf(ipc.CodeMinTTL, "ask without --min-ttl", "the server does not say how long the tokens of profile %s live", profile)
	}
	total := e.total
	if q.id {
		total -= e.idLess
	}
	return errorf(ipc.CodeMinTTL, "ask for less with --min-ttl",
		"the tokens of profile %s live for %s, less than was asked for", profile, total.Truncate(time.Second))
}

// answer makes the answer of a cached token, with the warning that is due. The
// token was found to be good at now.
func (a *Agent) answer(e *entry, rec Record, req ipc.TokenRequest, q ask, now Instant) (ipc.Token, error) {
	t, err := e.token(rec, q, now)
	if err == nil {
		t.Warning = a.warning(rec, req.Warnings, now.Wall)
		rec.account.noteCaller(req.Caller, t, now)
	}
	return t, err
}

func (e *entry) token(rec Record, q ask, now Instant) (ipc.Token, error) {
	profile := rec.account.name
	t := ipc.Token{
		AccessToken: secret.Wire{Text: e.access},
		TokenType:   "Bearer",
		Kind:        ipc.KindAccess,
		Profile:     profile,
		Provider:    rec.Provider,
		Scope:       e.scope,
	}
	left := e.left(now)
	if q.id {
		if e.id.IsZero() {
			return ipc.Token{}, errorf(ipc.CodeRefusedForNow, "make an API token with Open ID checked in the console, then: cspctl login "+profile,
				"the server gives no ID token for profile %s", profile)
		}
		t.AccessToken.Text, t.Kind = e.id, ipc.KindID
		left -= e.idLess
	}
	if !e.unknown {
		t.ExpiresAt = now.Wall.Add(left).UTC().Truncate(time.Second)
		t.ExpiresIn = int64(left / time.Second)
		t.GoodFor = e.left(now) - e.required(ask{id: q.id})
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
