package agent

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
)

// credential reads the secret of a profile, and refuses it unless it is bound
// to exactly what the profile says.
func (a *Agent) credential(ctx context.Context, profile string, rec Record, p provider.Prompt) (provider.Credential, error) {
	store := a.Stores[rec.Store]
	if store == nil {
		return provider.Credential{}, &storeFailure{errorf(ipc.CodeStoreAbsent, "cspctl login "+profile, "there is no store %s", rec.Store)}
	}
	ctx, cancel := context.WithTimeout(ctx, flightTime)
	defer cancel()
	cred, err := store.Get(ctx, profile, p)
	if errors.Is(err, provider.ErrNoSecret) && rec.Store == provider.Memory {
		err = errorf(ipc.CodeNotLoggedIn, "cspctl login "+profile,
			"the secret of profile %s was in the agent's memory, which a restart empties", profile)
	}
	if err == nil {
		if field := rec.binding().differs(cred.Binding); field != "" {
			err = errorf(ipc.CodeNotLoggedIn, "cspctl login "+profile,
				"the %s of profile %s is not the one that its secret was stored for", field, profile)
		}
	}
	if err != nil {
		return provider.Credential{}, &storeFailure{err}
	}
	cred.CA = []byte(rec.CA)
	return cred, nil
}

// storeFailure is a secret that could not be read, or is not for this profile:
// the server was not asked.
type storeFailure struct{ err error }

func (e *storeFailure) Error() string { return e.err.Error() }
func (e *storeFailure) Unwrap() error { return e.err }

// exchange asks the server, again where the trouble is likely to pass. What
// the answer brings besides the token is durable when it returns; see Rotator.
func (a *Agent) exchange(ctx context.Context, rec Record, cred provider.Credential, up provider.Request) (*entry, error) {
	if a.Providers[rec.Provider] == nil {
		return nil, errorf(ipc.CodeBadRequest, "log in again with one of the providers that this version has", "there is no provider %s", rec.Provider)
	}
	began := a.Clock.Now().Wall
	if err := a.underway(rec, began); err != nil {
		return nil, err
	}
	e, cutOff, err := a.tryExchange(ctx, rec, cred, cred.Secret, up)
	pe, refused := provider.AsError(err)
	refused = refused && pe.Class == provider.Permanent
	rec.account.mu.Lock()
	trial := rec.account.trial
	rec.account.mu.Unlock()
	if refused && !trial && !cred.Previous.IsZero() {
		// The secret never worked, so the one before it may still.
		older, olderCutOff, olderErr := a.tryExchange(ctx, rec, cred, cred.Previous, up)
		cutOff = cutOff || olderCutOff
		if olderErr == nil {
			e, err, refused = older, nil, false
		}
	}
	switch since := rec.Underway; {
	case err == nil:
		a.settled(rec)
	case refused && (cutOff || !since.IsZero()) && a.rotates(rec.Provider):
		if since.IsZero() {
			since = began
		}
		return nil, &lostError{pe, since}
	case !cutOff && since.IsZero():
		a.settled(rec)
	}
	return e, err
}

// tryExchange exchanges one secret of a credential. cutOff reports that a
// request was made to which no answer arrived, or whose answer could not be
// stored.
func (a *Agent) tryExchange(ctx context.Context, rec Record, cred provider.Credential, used secret.Text, up provider.Request) (_ *entry, cutOff bool, _ error) {
	p, acct := a.Providers[rec.Provider], rec.account
	attempt := cred
	attempt.Secret, attempt.Previous = used, secret.Text{}
	ctx, cancel := context.WithTimeout(ctx, flightTime)
	defer cancel()
	tries := uint(4)
	if !up.Passcode.IsZero() {
		tries = 1 // it is good for one try
	}
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.Multiplier, wait.MaxInterval = 300*time.Millisecond, 2.5, 5*time.Second
	try := func() (*entry, error) {
		sent := a.Clock.Now()
		a.awake(sent)
		acct.mu.Lock()
		acct.lastExchange = sent
		acct.exchanges++
		acct.mu.Unlock()
		t, err := p.Exchange(ctx, attempt, up)
		// A replacement counts even where the rest of the answer is of no use.
		if err == nil || !t.Replacement.IsZero() {
			if saveErr := a.save(ctx, rec, cred, used, t.Replacement); saveErr != nil {
				cutOff = true
				return nil, backoff.Permanent(saveErr)
			}
		}
		if err != nil && !t.Replacement.IsZero() {
			return nil, backoff.Permanent(err) // what was sent is dead
		}
		if err == nil {
			e, err := newEntry(t, sent, a.Clock.Now())
			if err != nil {
				return nil, backoff.Permanent(err) // it will hardly do better in a moment
			}
			return e, nil
		}
		e, ok := provider.AsError(err)
		cutOff = cutOff || !ok || !e.NotSent && (e.Status < 300 || e.Status >= 500)
		switch {
		case !ok || e.Class != provider.Transient:
			return nil, backoff.Permanent(err)
		case e.RetryAfter > 0:
			// Rounded up to the second, as the header has it.
			return nil, errors.Join(err, backoff.RetryAfter(int(seconds(e.RetryAfter))))
		}
		return nil, err
	}
	e, err := backoff.Retry(ctx, try, backoff.WithBackOff(wait), backoff.WithMaxTries(tries),
		backoff.WithMaxElapsedTime(flightTime))
	if err == nil {
		return e, false, nil
	}
	// What the server said beats what the clock cut short.
	if pe, ok := provider.AsError(err); ok {
		return nil, cutOff, pe
	}
	return nil, cutOff, err
}

// landed puts the answer of an exchange into the cache, and takes back what it
// proves wrong.
func (a *Agent) landed(acct *account, s *slot, f *flight, rec Record, up provider.Request, e *entry) (*entry, error) {
	now := a.Clock.Now()
	withPasscode := !up.Passcode.IsZero()
	acct.mu.Lock()
	acct.worked = true
	if s == nil {
		s, _ = acct.slot(up)
	}
	if s != nil && f.wipes == acct.wipes { // else it is for those who wait alone, if they still may have it
		var err error
		if e, err = s.receive(e, f.fresh || withPasscode, now); err != nil {
			acct.mu.Unlock()
			return nil, err
		}
	}
	if s != nil {
		s.trouble = nil
	}
	if t := acct.trouble; t != nil && speaksForAll(rec, up, t.class) {
		acct.trouble = nil
	}
	acct.passcode = withPasscode // who needed one will need the next
	acct.lastError = nil
	acct.mu.Unlock()

	if rec.Refusal != nil || rec.Unknown != nil || rec.Pending {
		a.rememberRefusal(acct, nil)
	}
	a.Log.Debug("exchanged", "profile", acct.name, "life", e.total, "unknown_life", e.unknown)
	return e, nil
}

// failed remembers a failure for as long as its class says, and returns it as
// callers are told. What is cached stays: it is good until its end.
func (a *Agent) failed(acct *account, s *slot, rec Record, up provider.Request, err error) error {
	wire := wireError(err, acct.name)
	_, store := errors.AsType[*storeFailure](err)
	pe, ok := provider.AsError(err)
	if !ok || store {
		pe = &provider.Error{Class: provider.Transient}
	}
	refusal := &Refusal{Error: wire, At: a.Clock.Now().Wall}
	now := a.Clock.Now()
	acct.mu.Lock()
	switch {
	case store:
		acct.trouble = acct.trouble.next(pe.Class, wire, 0, now)
		acct.trouble.store = !acct.trouble.permanent()
		refusal = nil
	case !up.Passcode.IsZero():
		refusal = nil // a wrong passcode is never held against the profile
	case !speaksForAll(rec, up, pe.Class):
		s.trouble = s.trouble.next(pe.Class, wire, pe.RetryAfter, now)
		refusal = nil
	default:
		acct.trouble = acct.trouble.next(pe.Class, wire, pe.RetryAfter, now)
		switch pe.Class {
		case provider.PasscodeNeeded:
			acct.passcode = true
		case provider.Permanent:
			acct.passcode = false
		default:
			refusal = nil
		}
	}
	acct.lastError = wire
	acct.mu.Unlock()

	if refusal != nil {
		a.rememberRefusal(acct, refusal)
	}
	if store {
		a.Log.Warn("the secret could not be read", "profile", acct.name, "code", wire.Code, "err", wire.Message)
	} else {
		a.Log.Warn("exchange failed", "profile", acct.name, "class", pe.Class, "status", pe.Status,
			"code", pe.Code, "err", wire.Message, "request_id", pe.RequestID)
	}
	return wire
}

// speaksForAll reports whether the outcome of a request says something about
// the profile, and not only about the scope that it named.
func speaksForAll(rec Record, up provider.Request, class provider.Class) bool {
	return class != provider.Refused || keyOf(up) == keyOf(upstream(rec, ipc.TokenRequest{}))
}

// rememberRefusal writes a permanent refusal to the state, or, with nil, that
// there is none any more. A state that can't be written is only logged: the
// refusal still holds until the agent ends.
func (a *Agent) rememberRefusal(acct *account, r *Refusal) {
	bad := a.state.change(func(c *contents) *ipc.Error {
		if rec := c.Profiles[acct.name]; rec != nil && rec.account == acct {
			rec.Refusal = r
			if r == nil {
				rec.Unknown = nil // an exchange has shown that it lives
			}
			rec.Pending = rec.Pending && r != nil
		}
		return nil
	})
	if bad != nil {
		a.Log.Error("a refusal could not be remembered", "profile", acct.name, "err", bad)
	}
}
