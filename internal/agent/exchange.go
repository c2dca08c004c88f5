package agent

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
)

// launch starts a flight that others may join. The caller holds acct.mu.
func (a *Agent) launch(acct *account, s *slot, f *flight, rec Record) {
	s.queued = f
	a.start(acct, s, f, rec, s.up)
}

// start starts a flight; s is nil for an exchange that nobody else may join.
// The caller holds acct.mu.
func (a *Agent) start(acct *account, s *slot, f *flight, rec Record, up provider.Request) {
	generation := acct.generation
	a.wg.Go(func() {
		f.entry, f.err = a.fly(acct, s, f, rec, up, generation)
		acct.mu.Lock()
		if s != nil && s.running == f {
			s.running = nil
		}
		if s != nil && s.queued == f {
			s.queued = nil
		}
		acct.mu.Unlock()
		close(f.done)
		a.rouse()
	})
}

// fly waits for the profile's turn, reads the secret, exchanges it, and puts
// the outcome on record.
func (a *Agent) fly(acct *account, s *slot, f *flight, rec Record, up provider.Request, generation uint64) (*entry, error) {
	ctx, cancel := context.WithTimeout(a.ctx, flightTime)
	defer cancel()
	select {
	case <-time.After(f.pause):
	case <-f.hurry:
	case <-ctx.Done():
	}
	if err := take(ctx, acct.turn); err != nil {
		return nil, wireError(err, acct.name)
	}
	defer func() { acct.turn <- struct{}{} }()

	acct.mu.Lock()
	if acct.generation != generation {
		acct.mu.Unlock()
		return nil, errSuperseded
	}
	if s != nil {
		s.running, s.queued = f, nil
	}
	prompt := provider.Prompt(f.prompt)
	acct.mu.Unlock()

	cred, err := a.credential(ctx, acct.name, rec, prompt)
	if err != nil {
		return nil, a.storeFailed(acct, err, generation)
	}
	if prompt == provider.MayPrompt {
		// The person may have taken long; the server gets its own time.
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(a.ctx, flightTime)
		defer cancel()
	}
	e, err := a.exchange(ctx, acct, rec.Provider, cred, up)
	return a.landed(acct, s, rec, up, generation, e, err)
}

// exchange asks the server, again where the trouble is likely to pass.
func (a *Agent) exchange(ctx context.Context, acct *account, name string, cred provider.Credential, up provider.Request) (*entry, error) {
	p := a.Providers[name]
	if p == nil {
		return nil, errorf(ipc.CodeBadRequest, "log in again with one of the providers that this version has", "there is no provider %s", name)
	}
	a.awake(a.Clock.Now())
	tries := uint(4)
	if !up.Passcode.IsZero() {
		tries = 1 // it is good for one try
	}
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.Multiplier, wait.MaxInterval = 300*time.Millisecond, 2.5, 5*time.Second
	try := func() (*entry, error) {
		sent := a.Clock.Now()
		acct.mu.Lock()
		acct.lastExchange, acct.exchanged = sent, true
		acct.exchanges++
		acct.mu.Unlock()
		t, err := p.Exchange(ctx, cred, up)
		if err == nil {
			return a.accept(t, sent)
		}
		e, ok := provider.AsError(err)
		switch {
		case !ok || e.Class != provider.Transient:
			return nil, backoff.Permanent(err)
		case e.RetryAfter > 0:
			// Rounded up to the second, as the header has it.
			return nil, errors.Join(err, backoff.RetryAfter(int(seconds(e.RetryAfter))))
		}
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	e, err := backoff.Retry(ctx, try, backoff.WithBackOff(wait), backoff.WithMaxTries(tries),
		backoff.WithMaxElapsedTime(time.Until(deadline)))
	if err == nil {
		return e, nil
	}
	// What the server said beats what the clock cut short.
	if pe, ok := provider.AsError(err); ok {
		return nil, pe
	}
	return nil, err
}

// accept works out how long a token may be served.
func (a *Agent) accept(t provider.Token, sent Instant) (*entry, error) {
	l, err := lifeOf(t, sent)
	switch {
	case errors.Is(err, errNoLife):
		return newEntry(t, l, true), nil
	case err != nil:
		return nil, &provider.Error{Class: provider.Transient, Message: err.Error(), Err: err,
			Hint: "check the clocks of the server and of whatever stands between"}
	}
	return newEntry(t, l, false), nil
}

// landed puts the outcome of an exchange into the cache and into memory.
func (a *Agent) landed(acct *account, s *slot, rec Record, up provider.Request, generation uint64, e *entry, err error) (*entry, error) {
	if err != nil {
		return nil, a.exchangeFailed(acct, s, rec, up, generation, err)
	}
	now := a.Clock.Now()
	acct.mu.Lock()
	if acct.generation != generation {
		acct.mu.Unlock()
		return nil, errSuperseded
	}
	if s == nil {
		s = acct.slot(up)
	}
	if old := s.entry; old != nil && !e.unknown && old.access.Equal(e.access) {
		again := *e
		again.life = e.again(old.life, now)
		e = &again
	}
	if !e.unknown {
		s.entry = e
	}
	s.trouble = nil
	forgetRefusal := false
	if up.Passcode.IsZero() {
		forgetRefusal = acct.trouble != nil && acct.trouble.permanent()
		acct.trouble, acct.passcode = nil, false
	}
	acct.lastError = nil
	acct.mu.Unlock()

	if forgetRefusal {
		a.rememberRefusal(acct.name, generation, nil)
	}
	a.Log.Debug("exchanged", "profile", acct.name, "life", e.total, "unknown_life", e.unknown)
	return e, nil
}

// exchangeFailed remembers a failure for as long as its class says. A token
// that is still good stays in the cache, unless the secret behind it is gone.
func (a *Agent) exchangeFailed(acct *account, s *slot, rec Record, up provider.Request, generation uint64, err error) error {
	wire := wireError(err, acct.name)
	pe, ok := provider.AsError(err)
	if !ok {
		pe = &provider.Error{Class: provider.Transient, Message: wire.Message}
	}
	now := a.Clock.Now()
	acct.mu.Lock()
	if acct.generation != generation {
		acct.mu.Unlock()
		return errSuperseded
	}
	var remember *Refusal
	switch {
	case !up.Passcode.IsZero():
		// A wrong passcode is never held against the profile.
	case s != nil && !speaksForAll(rec, up, pe.Class):
		s.trouble = s.trouble.next(pe.Class, wire, pe.RetryAfter, now)
	default:
		acct.trouble = acct.trouble.next(pe.Class, wire, pe.RetryAfter, now)
		acct.passcode = acct.trouble.class == provider.PasscodeNeeded
		if pe.Class == provider.Permanent || pe.Class == provider.PasscodeNeeded {
			remember = &Refusal{Class: pe.Class, Error: wire, At: now.Wall}
		}
	}
	acct.lastError = wire
	acct.mu.Unlock()

	if remember != nil {
		a.rememberRefusal(acct.name, generation, remember)
	}
	a.Log.Warn("exchange failed", "profile", acct.name, "class", pe.Class, "status", pe.Status,
		"code", pe.Code, "err", wire.Message, "request_id", pe.RequestID)
	return wire
}

// speaksForAll reports whether the failure of a request says something about
// the profile, and not only about the scope that it named.
func speaksForAll(rec Record, up provider.Request, class provider.Class) bool {
	return class != provider.Refused || keyOf(up) == keyOf(upstream(rec, ipc.TokenRequest{}))
}

// storeFailed remembers that the secret could not be read.
func (a *Agent) storeFailed(acct *account, err error, generation uint64) error {
	wire := wireError(err, acct.name)
	now := a.Clock.Now()
	acct.mu.Lock()
	if acct.generation != generation {
		acct.mu.Unlock()
		return errSuperseded
	}
	t := acct.trouble.next(provider.Transient, wire, 0, now)
	t.store = !t.permanent()
	acct.trouble, acct.lastError = t, wire
	acct.mu.Unlock()
	a.Log.Warn("the secret could not be read", "profile", acct.name, "code", wire.Code, "err", wire.Message)
	return wire
}

// credential reads the secret of a profile, and refuses it unless it is bound
// to exactly what the profile says.
func (a *Agent) credential(ctx context.Context, profile string, rec Record, p provider.Prompt) (provider.Credential, error) {
	store := a.Stores[rec.Store]
	if store == nil {
		return provider.Credential{}, errorf(ipc.CodeStoreAbsent, "cspctl login "+profile, "there is no store %s", rec.Store)
	}
	cred, err := store.Get(ctx, profile, p)
	if errors.Is(err, provider.ErrNoSecret) && rec.Store == provider.Memory {
		return cred, errorf(ipc.CodeNotLoggedIn, "cspctl login "+profile,
			"the secret of profile %s was in the agent's memory, which a restart empties", profile)
	}
	if err != nil {
		return cred, err
	}
	if field := rec.binding().differs(cred.Binding); field != "" {
		return provider.Credential{}, errorf(ipc.CodeNotLoggedIn, "cspctl login "+profile,
			"the %s of profile %s is not the one that its secret was stored for", field, profile)
	}
	cred.CA = []byte(rec.CA)
	return cred, nil
}
