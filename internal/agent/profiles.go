package agent

import (
	"context"
	"errors"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
)

// Profile returns the settings of a profile; an empty name means the default.
func (a *Agent) Profile(name string) (ipc.Profile, error) {
	name, rec, err := a.state.get(name)
	if err != nil {
		return ipc.Profile{}, err
	}
	_, def := a.state.names()
	return rec.profile(name, name == def), nil
}

// Profiles returns the settings of all profiles, sorted by name.
func (a *Agent) Profiles() (ipc.Profiles, error) {
	if a.state.err != nil {
		return ipc.Profiles{}, a.state.err
	}
	list := ipc.Profiles{Profiles: []ipc.Profile{}}
	names, def := a.state.names()
	for _, name := range names {
		if _, rec, err := a.state.get(name); err == nil {
			list.Profiles = append(list.Profiles, rec.profile(name, name == def))
		}
	}
	return list, nil
}

func (r Record) profile(name string, isDefault bool) ipc.Profile {
	p := ipc.Profile{
		Name: name, Default: isDefault, Provider: r.Provider, Server: r.Origin, Org: r.Org,
		ClientID: r.ClientID, User: r.User, Store: r.Store, Scope: r.Scope,
		CASHA256: r.binding().CASHA256, TokenName: r.TokenName, Username: r.Username,
		LoggedOut: r.LoggedOut,
	}
	if !r.LoggedOut {
		p.LoggedIn = r.LoggedIn
	}
	if r.Expiry != nil && r.Expiry.Known {
		p.APIToken = &ipc.Expiry{Never: r.Expiry.Never, CheckedAt: r.CheckedAt}
		if !r.Expiry.Never {
			p.APIToken.ExpiresAt = &r.Expiry.At
		}
	}
	return p
}

// Logout forgets the secret of a profile and every cached token. The settings
// stay for the next login.
func (a *Agent) Logout(ctx context.Context, name string, interactive bool) error {
	return a.alter(ctx, name, func(acct *account, rec Record) error {
		acct.forget(nil, provider.Request{})
		if err := a.deleteSecret(ctx, acct.name, rec, interactive); err != nil {
			return err
		}
		return orNil(a.state.change(func(c *contents) *ipc.Error {
			r := c.Profiles[acct.name]
			r.LoggedOut, r.Refusal, r.Expiry, r.TokenName = true, nil, nil, ""
			return nil
		}))
	})
}

// Remove forgets a profile altogether.
func (a *Agent) Remove(ctx context.Context, name string, interactive bool) error {
	return a.alter(ctx, name, func(acct *account, rec Record) error {
		acct.forget(nil, provider.Request{})
		if err := a.deleteSecret(ctx, acct.name, rec, interactive); err != nil {
			return err
		}
		return orNil(a.state.change(func(c *contents) *ipc.Error {
			delete(c.Profiles, acct.name)
			if c.Default == acct.name {
				c.Default = ""
				for only := range c.Profiles {
					if len(c.Profiles) == 1 {
						c.Default = only
					}
				}
			}
			return nil
		}))
	})
}

// Use makes a profile the default.
func (a *Agent) Use(name string) error {
	return orNil(a.state.change(func(c *contents) *ipc.Error {
		if c.Profiles[name] == nil {
			return errNoProfile(name)
		}
		c.Default = name
		return nil
	}))
}

// Rename gives a profile another name. The secret is stored under the new name
// before it is removed under the old one.
func (a *Agent) Rename(ctx context.Context, from, to string, interactive bool) error {
	if bad := ipc.CheckName(to); bad != nil {
		return bad
	}
	if from == to {
		return nil
	}
	a.renaming.Lock() // two profiles that swap names must not wait for each other
	defer a.renaming.Unlock()
	target := a.account(to)
	if err := take(ctx, target.change); err != nil {
		return errorf(ipc.CodeBusy, "try again", "profile %s is being changed", to)
	}
	defer func() { target.change <- struct{}{} }()
	return a.alter(ctx, from, func(acct *account, rec Record) error {
		if _, _, bad := a.state.get(to); bad == nil {
			return errorf(ipc.CodeProfileExists, "remove it first, or choose another name", "there is a profile %s already", to)
		}
		store, prompt := a.Stores[rec.Store], provider.Prompt(interactive)
		moved := false
		if store != nil && !rec.LoggedOut {
			cred, err := store.Get(ctx, acct.name, prompt)
			if err == nil {
				err = store.Put(ctx, to, cred, prompt)
				moved = err == nil
			}
			if err != nil && !errors.Is(err, provider.ErrNoSecret) {
				return err
			}
		}
		if bad := a.state.change(func(c *contents) *ipc.Error {
			c.Profiles[to] = c.Profiles[acct.name]
			delete(c.Profiles, acct.name)
			if c.Default == acct.name {
				c.Default = to
			}
			return nil
		}); bad != nil {
			if moved {
				_ = store.Delete(context.WithoutCancel(ctx), to, provider.NoPrompt)
			}
			return bad
		}
		acct.forget(nil, provider.Request{})
		target.forget(nil, provider.Request{})
		if rec.Refusal != nil {
			target.recall(rec.Refusal, a.Clock.Now())
		}
		if moved {
			if err := store.Delete(ctx, acct.name, prompt); err != nil {
				a.Log.Warn("the secret under the old name could not be removed", "profile", acct.name, "store", rec.Store, "err", err)
			}
		}
		return nil
	})
}

// alter runs a change of a profile while no other change and no exchange of it
// is under way.
func (a *Agent) alter(ctx context.Context, name string, f func(*account, Record) error) error {
	acct, _, bad := a.find(name)
	if bad != nil {
		return bad
	}
	for _, lock := range []chan struct{}{acct.change, acct.turn} {
		if err := take(ctx, lock); err != nil {
			return errorf(ipc.CodeBusy, "try again", "profile %s is busy", acct.name)
		}
		defer func() { lock <- struct{}{} }()
	}
	_, rec, bad := a.find(acct.name) // it may be gone by now
	if bad != nil {
		return bad
	}
	if err := f(acct, rec); err != nil {
		return wireError(err, acct.name)
	}
	return nil
}

func (a *Agent) deleteSecret(ctx context.Context, name string, rec Record, interactive bool) error {
	store := a.Stores[rec.Store]
	if store == nil || rec.LoggedOut {
		return nil
	}
	return store.Delete(ctx, name, provider.Prompt(interactive))
}

func errNoProfile(name string) *ipc.Error {
	return errorf(ipc.CodeNoSuchProfile, "cspctl profile list shows the profiles; cspctl login "+name+" makes this one", "there is no profile %s", name)
}

// orNil keeps a nil *ipc.Error from becoming an error that is not nil.
func orNil(e *ipc.Error) error {
	if e == nil {
		return nil
	}
	return e
}

// recall puts a refusal that was remembered across a restart back in force.
func (acct *account) recall(r *Refusal, now Instant) {
	acct.mu.Lock()
	defer acct.mu.Unlock()
	at := now
	if age := now.Wall.Sub(r.At); age > 0 {
		at = now.Add(-min(age, freshPause))
	}
	acct.trouble = &trouble{class: r.Class, err: r.Error, at: at, count: 1}
	acct.passcode = r.Class == provider.PasscodeNeeded
	acct.lastError = r.Error
}

// rememberRefusal writes a permanent refusal to the state, or, with nil, that
// there is none any more. A state that can't be written is only logged: the
// refusal still holds until the agent ends.
func (a *Agent) rememberRefusal(name string, generation uint64, r *Refusal) {
	acct := a.account(name)
	bad := a.state.change(func(c *contents) *ipc.Error {
		acct.mu.Lock()
		current := acct.generation == generation
		acct.mu.Unlock()
		if rec := c.Profiles[name]; rec != nil && current {
			rec.Refusal = r
		}
		return nil
	})
	if bad != nil {
		a.Log.Error("a refusal could not be remembered", "profile", name, "err", bad)
	}
}

// warning is what a person who asks for a token should be told about the API
// token behind it; nil if nothing is due.
func (r Record) warning(profile string, now time.Time) *ipc.Warning {
	if r.Expiry == nil || !r.Expiry.Known || r.Expiry.Never {
		return nil
	}
	stage, ok := stageAt(r.Expiry.At.Sub(now))
	if !ok {
		return nil
	}
	what := "the API token of profile " + profile
	if r.TokenName != "" {
		what = "the API token " + r.TokenName + " of profile " + profile
	}
	return &ipc.Warning{Stage: stage.name, Message: what + stage.text(r.Expiry.At, now) +
		"; make a new one at " + r.Origin + " (My Account > API Tokens), then: cspctl login " + profile}
}
