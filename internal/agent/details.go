package agent

import (
	"context"
	"errors"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
)

// detailsTime bounds a question for details, from when the secret was read.
const detailsTime = 20 * time.Second

// Details asks the server what it knows about the secret of a profile, and
// remembers what bears on its end. Its errors are of type *ipc.Error.
func (a *Agent) Details(ctx context.Context, name string, interactive bool) (ipc.ProfileDetails, error) {
	p, bad := a.enter()
	if bad != nil {
		return ipc.ProfileDetails{}, bad
	}
	for range 2 {
		rec, bad := a.find(name)
		if bad != nil {
			return ipc.ProfileDetails{}, bad
		}
		acct := rec.account
		switch {
		case !provider.TellsDetails(rec.Provider):
			return ipc.ProfileDetails{}, detailsError(provider.ErrNoDetails, rec, time.Time{})
		case rec.LoggedOut:
			return ipc.ProfileDetails{}, wireError(provider.ErrNoSecret, acct.name)
		}
		q, err := a.inquire(rec, provider.Prompt(interactive), false)
		if err == nil {
			select {
			case <-q.done:
				err = q.err
			case <-p.ctx.Done():
			case <-ctx.Done():
				return ipc.ProfileDetails{}, errorf(ipc.CodeUnreachable, "try again", "no answer in time for profile %s", acct.name)
			}
		}
		if p.ended() {
			return ipc.ProfileDetails{}, errLocked
		}
		if err == nil {
			return ipc.ProfileDetails{Profile: acct.name, Provider: rec.Provider, Server: rec.Origin, CheckedAt: q.at, Details: q.details}, nil
		}
		wire := detailsError(err, rec, a.Clock.Now().Wall)
		if wire.Code != ipc.CodeStoreLocked || !interactive || q == nil || bool(q.prompt) {
			return ipc.ProfileDetails{}, wire
		}
		// It joined a question of somebody who could not be asked to unlock the
		// keychain. This caller can.
	}
	return ipc.ProfileDetails{}, errorf(ipc.CodeBusy, "try again", "the profile is being asked about")
}

// detailsError words a failure for somebody who asked for details.
func detailsError(err error, rec Record, now time.Time) *ipc.Error {
	name := rec.account.name
	if errors.Is(err, provider.ErrNoDetails) {
		return errorf(ipc.CodeNoDetails, "see what the agent knows: cspctl status",
			"profile %s is of provider %s, which tells nothing about its secrets", name, rec.Provider)
	}
	w := *wireError(err, name)
	if e := rec.Expiry; w.Code == ipc.CodeRefused && e != nil && e.Known && !e.Never {
		on := e.At.UTC().Format("2006-01-02 15:04 UTC")
		if e.At.After(now) {
			w.Message += "; it was to expire on " + on
		} else {
			w.Message += "; it expired on " + on
		}
	}
	return &w
}

// inquiry is one question for details. Those who wait for done read the rest
// after it.
type inquiry struct {
	done   chan struct{}
	prompt provider.Prompt

	details provider.Details
	at      time.Time
	err     error
}

// inquire returns the question for details that is under way, or starts one,
// or says why there is none: a server that refused or failed a moment ago is
// left alone, and in the background one that refused for good is for ever.
func (a *Agent) inquire(rec Record, p provider.Prompt, background bool) (*inquiry, error) {
	in, bad := a.enter()
	if bad != nil {
		return nil, bad
	}
	acct, now := rec.account, a.Clock.Now()
	acct.mu.Lock()
	defer acct.mu.Unlock()
	if acct.asking != nil {
		return acct.asking, nil
	}
	for _, t := range []*trouble{acct.hushed, acct.trouble} {
		if t != nil && t.class != provider.PasscodeNeeded { // details take no passcode
			if e := t.blocks(now, !background, background); e != nil {
				return nil, e
			}
		}
	}
	q := &inquiry{done: make(chan struct{}), prompt: p}
	acct.asking = q
	if !a.spawn(func() {
		q.details, q.err = a.askDetails(in, rec, p)
		now := a.Clock.Now()
		q.at = now.Wall.UTC().Truncate(time.Second)
		a.answered(rec, q, now)
		close(q.done)
	}) {
		acct.asking = nil
		return nil, context.Canceled
	}
	return q, nil
}

func (a *Agent) askDetails(in *period, rec Record, prompt provider.Prompt) (provider.Details, error) {
	p := a.Providers[rec.Provider]
	if p == nil {
		return provider.Details{}, errorf(ipc.CodeBadRequest, "log in again with one of the providers that this version has", "there is no provider %s", rec.Provider)
	}
	ctx, done := in.within(a.ctx)
	defer done()
	cred, err := a.credential(ctx, rec.account.name, rec, prompt)
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, detailsTime)
		defer cancel()
		a.awake(a.Clock.Now())
		var d provider.Details
		if d, err = p.Details(ctx, cred); err == nil {
			return d, nil
		}
	}
	if in.ended() {
		err = errLocked // says nothing about the secret
	}
	return provider.Details{}, err
}

// answered puts the outcome of a question on record, unless the profile has
// another secret by now.
func (a *Agent) answered(rec Record, q *inquiry, now Instant) {
	acct := rec.account
	var unknown *Refusal
	acct.mu.Lock()
	acct.asking = nil
	switch {
	case q.err == nil, errors.Is(q.err, provider.ErrNoDetails):
		acct.hushed = nil
	case errors.Is(q.err, errLocked):
	case a.ctx.Err() == nil:
		_, store := errors.AsType[*storeFailure](q.err)
		pe, ok := provider.AsError(q.err)
		if !ok || store {
			pe = &provider.Error{Class: provider.Transient}
		}
		acct.hushed = acct.hushed.next(pe.Class, wireError(q.err, acct.name), pe.RetryAfter, now)
		acct.hushed.store = store && !acct.hushed.permanent()
		if acct.hushed.class == provider.Permanent && !store {
			unknown = &Refusal{Error: acct.hushed.err, At: now.Wall}
		}
	}
	acct.mu.Unlock()
	if q.err != nil {
		a.Log.Debug("no details", "profile", acct.name, "err", q.err)
	}
	if q.err != nil && unknown == nil {
		return
	}
	bad := a.state.change(func(c *contents) *ipc.Error {
		if r := c.Profiles[acct.name]; r != nil && r.account == acct {
			r.Unknown = unknown
			if q.err == nil {
				r.learn(q.details, q.at)
			}
		}
		return nil
	})
	if bad != nil {
		a.Log.Error("details could not be remembered", "profile", acct.name, "err", bad)
	}
}

// learn takes over what the server said at a time.
func (r *Record) learn(d provider.Details, at time.Time) {
	r.TokenName = d.TokenName
	r.Username = firstOf(d.Username, d.Acct, d.UserID)
	r.Expiry, r.CheckedAt, r.Deactivated = &d.Expiry, at, d.Deactivated
	r.CreatedAt = d.CreatedAt
}
