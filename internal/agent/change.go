package agent

import (
	"context"
	"slices"

	"github.com/cspctl/cspctl/internal/ipc"
)

// Changes of a profile (login, logout, rename, removal) run one at a time for
// each name. They may take as long as a person at a keychain's dialog, and
// never keep a cached token, or another profile, waiting.

// lock waits until no other change of the profiles is under way.
func (a *Agent) lock(ctx context.Context, names ...string) (unlock func(), bad *ipc.Error) {
	slices.Sort(names) // two that need the same names must not wait for each other
	var held []chan struct{}
	unlock = func() {
		for _, c := range held {
			c <- struct{}{}
		}
	}
	for _, name := range slices.Compact(names) {
		a.mu.Lock()
		c := a.changes[name]
		if c == nil {
			c = make(chan struct{}, 1)
			c <- struct{}{}
			a.changes[name] = c
		}
		a.mu.Unlock()
		if take(ctx, c) != nil {
			unlock()
			return nil, errorf(ipc.CodeBusy, "try again", "profile %s is being changed", name)
		}
		held = append(held, c)
	}
	return unlock, nil
}

// alter runs a change of a profile while no other change of it, or of what
// else is named, is under way.
func (a *Agent) alter(ctx context.Context, name string, also []string, f func(Record) error) error {
	_, leave, bad := a.changing()
	if bad != nil {
		return bad
	}
	defer leave()
	if _, bad := a.state.refresh(); bad != nil {
		return bad
	}
	rec, bad := a.find(name)
	if bad != nil {
		return bad
	}
	name = rec.account.name
	unlock, bad := a.lock(ctx, append(also, name)...)
	if bad != nil {
		return bad
	}
	defer unlock()
	rec, bad = a.find(name) // it may be gone by now
	if bad != nil {
		return bad
	}
	if err := f(rec); err != nil {
		return wireError(err, name)
	}
	return nil
}

// holding runs f while no exchange of the profile's secret is under way, in
// this agent or in another one. If f puts another account in the place of the
// profile's, none ever will be.
func (a *Agent) holding(ctx context.Context, rec Record, f func() error) error {
	acct := rec.account
	if take(ctx, acct.turn) != nil {
		return errorf(ipc.CodeBusy, "try again", "an exchange for profile %s is under way", acct.name)
	}
	defer func() { acct.turn <- struct{}{} }()
	release, err := a.exclusive(ctx, rec)
	if err != nil {
		return err
	}
	defer release()
	return f()
}

// orNil keeps a nil *ipc.Error from becoming an error that is not nil.
func orNil(e *ipc.Error) error {
	if e == nil {
		return nil
	}
	return e
}
