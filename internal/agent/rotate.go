package agent

import (
	"context"
	"errors"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
)

// Rotator is a Provider whose server may replace the secret at any exchange,
// and then accepts the old one no more (Cloud Director service accounts,
// RFC 6749 section 6). For such a provider
//
//   - one exchange is under way at a time, even across two agents;
//   - that it is under way is on record before it begins, so that an answer
//     which got lost can be told from a secret that somebody revoked;
//   - the new secret is durable in the store before its access token is handed
//     to anyone;
//   - the secret before it is kept until the new one has worked.
//
// One window can't be closed: the server has answered, and the answer never
// arrived here, or the machine died before it was written.
type Rotator interface {
	Rotates() bool
}

func (a *Agent) rotates(providerName string) bool {
	r, ok := a.Providers[providerName].(Rotator)
	return ok && r.Rotates()
}

// exclusive keeps other agents on the same store from exchanging the secret of
// a profile until release is called.
func (a *Agent) exclusive(ctx context.Context, rec Record) (release func(), err error) {
	if !a.rotates(rec.Provider) {
		return func() {}, nil
	}
	return a.alone(ctx, rec.account.name)
}

// alone keeps other agents on the same stores from the secret of a profile, or
// of one that is to be, until release is called.
func (a *Agent) alone(ctx context.Context, name string) (release func(), err error) {
	if a.Exclusive == nil {
		return func() {}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, flightTime)
	defer cancel()
	release, err = a.Exclusive(ctx, name)
	if err != nil {
		return nil, &storeFailure{errorf(ipc.CodeBusy, "another agent uses the same store: stop it, or try again", "the secret of profile %s is in use: %v", name, err)}
	}
	return release, nil
}

// keepTime bounds one try to store a secret that has just come.
const keepTime = 10 * time.Second

// save makes durable what a successful exchange has shown: used has worked, so
// that nothing before it is needed any more, and replacement, if not empty,
// comes after it. Neither the caller's end nor the agent's keeps that from
// being written.
func (a *Agent) save(ctx context.Context, rec Record, stored provider.Credential, used, replacement secret.Text) error {
	next := stored
	next.Secret, next.Previous = used, secret.Text{}
	if !replacement.IsZero() && !replacement.Equal(used) {
		next.Secret, next.Previous = replacement, used
	}
	if next.Secret.Equal(stored.Secret) && next.Previous.Equal(stored.Previous) {
		return nil
	}
	err := a.put(ctx, rec, next)
	switch {
	case err == nil && !next.Secret.Equal(stored.Secret):
		a.Log.Info("the server replaced the secret; the new one is stored", "profile", rec.account.name, "store", rec.Store)
		return nil
	case err == nil, next.Secret.Equal(stored.Secret):
		return nil // at the worst, a secret of the past is kept for a while
	}
	rec.account.mu.Lock()
	rec.account.unsaved = &next
	rec.account.mu.Unlock()
	a.Log.Error("the server replaced the secret, and the new one can't be stored: it is in memory alone", "profile", rec.account.name, "store", rec.Store, "err", err)
	a.saveLater(rec)
	return &storeFailure{err}
}

func (a *Agent) put(ctx context.Context, rec Record, cred provider.Credential) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTime)
	defer cancel()
	return a.Stores[rec.Store].Put(ctx, rec.account.name, cred, provider.NoPrompt)
}

// saveLater tries again to store a secret that is in memory alone, until it
// is, or nobody needs it any more; a last time when the agent ends.
func (a *Agent) saveLater(rec Record) {
	a.spawn(func() {
		pause := time.Second
		for last := false; !last; pause = min(2*pause, 30*time.Second) {
			select {
			case <-time.After(pause):
			case <-a.ctx.Done():
				last = true
			}
			acct := rec.account
			if take(context.Background(), acct.turn) != nil {
				return
			}
			done := a.saveAlone(rec) == nil
			acct.turn <- struct{}{}
			if done {
				a.rouse()
				return
			}
		}
	})
}

// saveAlone is saveNow while no other agent exchanges the secret.
func (a *Agent) saveAlone(rec Record) error {
	release, err := a.exclusive(context.Background(), rec)
	if err != nil {
		return err
	}
	defer release()
	return a.saveNow(rec)
}

// saveNow stores the secret that is in memory alone, if there is one, and if
// the store still holds the one that it replaces: somebody may have logged in
// anew through another agent. The caller holds the account's turn, and keeps
// other agents out.
func (a *Agent) saveNow(rec Record) error {
	acct := rec.account
	acct.mu.Lock()
	unsaved := acct.unsaved
	acct.mu.Unlock()
	if unsaved == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), keepTime)
	defer cancel()
	stored, err := a.Stores[rec.Store].Get(ctx, acct.name, provider.NoPrompt)
	switch {
	case errors.Is(err, provider.ErrNoSecret), err == nil && !stored.Secret.Equal(unsaved.Previous):
		a.Log.Warn("a secret that could not be stored is of no use any more: another one has taken its place", "profile", acct.name, "store", rec.Store)
		acct.mu.Lock()
		acct.unsaved = nil
		acct.mu.Unlock()
		return nil
	case err != nil:
		return &storeFailure{err}
	}
	if err := a.put(a.ctx, rec, *unsaved); err != nil {
		return &storeFailure{err}
	}
	acct.mu.Lock()
	acct.unsaved = nil
	acct.mu.Unlock()
	a.Log.Info("the new secret is stored now", "profile", acct.name, "store", rec.Store)
	return nil
}

// underway puts on record that an exchange of a secret that may rotate begins.
func (a *Agent) underway(rec Record, since time.Time) error {
	if !a.rotates(rec.Provider) || !rec.Underway.IsZero() {
		return nil
	}
	return orNil(a.setUnderway(rec, since.UTC().Truncate(time.Second)))
}

// settled takes that back: an answer has arrived, and what it brought is
// durable.
func (a *Agent) settled(rec Record) {
	if !a.rotates(rec.Provider) {
		return
	}
	if bad := a.setUnderway(rec, time.Time{}); bad != nil {
		a.Log.Error("the end of an exchange could not be noted", "profile", rec.account.name, "err", bad)
	}
}

func (a *Agent) setUnderway(rec Record, t time.Time) *ipc.Error {
	return a.state.change(func(c *contents) *ipc.Error {
		if r := c.Profiles[rec.account.name]; r != nil && r.account == rec.account {
			r.Underway = t
		}
		return nil
	})
}

// lostError is the refusal of a secret after an exchange of it that was never
// answered.
type lostError struct {
	refused *provider.Error
	since   time.Time // when that exchange began
}

func (e *lostError) Error() string { return e.refused.Error() }
func (e *lostError) Unwrap() error { return e.refused }

// wire says exactly what happened.
func (e *lostError) wire(profile string) *ipc.Error {
	w := wireError(e.refused, profile)
	w.Message = "the token of profile " + profile + " is lost: an exchange that began on " +
		e.since.UTC().Format("2006-01-02 at 15:04:05 UTC") + " was cut off before its answer arrived, and the server, which replaces the token at each use, refuses the old one"
	w.Hint = "have a new token granted, then: cspctl login " + profile
	return w
}

// loginRotating is a login whose first exchange may replace the secret: it is
// stored as pending before that exchange, and taken back if the server refuses
// it. What was there before stays in its store until then.
func (a *Agent) loginRotating(ctx context.Context, old, rec Record, cred provider.Credential, req ipc.LoginRequest) (ipc.LoginResult, error) {
	name := rec.account.name
	var v verified
	if err := v.into(&rec, &cred, req, old); err != nil {
		return ipc.LoginResult{}, err
	}
	rec.account.trial = true
	undo, err := a.commit(ctx, old, rec, cred, req, &v)
	if err != nil {
		return ipc.LoginResult{}, wireError(err, name)
	}
	defer func() {
		rec.account.mu.Lock()
		rec.account.trial = false
		rec.account.mu.Unlock()
	}()
	_, err = a.Token(ctx, ipc.TokenRequest{Profile: name, Fresh: true, Interactive: req.Interactive, Passcode: req.Passcode})
	if err == nil {
		return a.loggedIn(rec, true, v.warnings)
	}
	rec.account.mu.Lock()
	unsaved := rec.account.unsaved != nil
	rec.account.mu.Unlock()
	if unsaved {
		// The secret that counts is in memory, and is going to be stored.
		return ipc.LoginResult{}, wireError(err, name)
	}
	kept := false
	if takeErr := a.holding(context.WithoutCancel(ctx), rec, func() error {
		rec.account.mu.Lock()
		kept = rec.account.worked // behind the back of a caller who is gone, or was turned away by a lock
		rec.account.mu.Unlock()
		if !kept {
			undo()
		}
		return nil
	}); takeErr != nil {
		return ipc.LoginResult{}, takeErr
	}
	if kept {
		return a.loggedIn(rec, true, v.warnings)
	}
	return ipc.LoginResult{}, loginError(err, name)
}
