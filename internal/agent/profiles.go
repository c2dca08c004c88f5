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
	rec, bad := a.find(name)
	if bad != nil {
		return ipc.Profile{}, bad
	}
	c, bad := a.state.load()
	if bad != nil {
		return ipc.Profile{}, bad
	}
	return rec.profile(c.Default), nil
}

// Profiles returns the settings of all profiles, sorted by name.
func (a *Agent) Profiles() (ipc.Profiles, error) {
	c, bad := a.state.load()
	if bad != nil {
		return ipc.Profiles{}, bad
	}
	list := ipc.Profiles{Profiles: []ipc.Profile{}}
	for _, rec := range c.sorted() {
		list.Profiles = append(list.Profiles, rec.profile(c.Default))
	}
	return list, nil
}

func (r Record) profile(def string) ipc.Profile {
	p := ipc.Profile{
		Name: r.account.name, Default: r.account.name == def, Provider: r.Provider, Server: r.Origin, Org: r.Org,
		ClientID: r.ClientID, User: r.User, Store: r.Store, Scope: r.Scope,
		CASHA256: r.binding().CASHA256, TokenName: r.TokenName, Username: r.Username,
		LoggedOut: r.LoggedOut, RenewURL: provider.TokenPage(r.Provider, r.Origin, r.Org),
	}
	if !r.LoggedOut {
		p.LoggedIn = r.LoggedIn.Truncate(time.Second)
	}
	if r.Expiry != nil && r.Expiry.Known {
		p.APIToken = &ipc.Expiry{Never: r.Expiry.Never, CheckedAt: r.CheckedAt, CreatedAt: r.CreatedAt}
		if !r.Expiry.Never {
			p.APIToken.ExpiresAt = &r.Expiry.At
		}
	}
	return p
}

// Logout forgets the secret of a profile and every cached token. The settings
// stay for the next login.
func (a *Agent) Logout(ctx context.Context, name string, interactive bool) error {
	return a.discard(ctx, name, interactive, func(c *contents, name string) {
		rec := c.Profiles[name]
		rec.LoggedOut, rec.Refusal, rec.Unknown, rec.Expiry, rec.TokenName = true, nil, nil, nil, ""
	})
}

// Remove forgets a profile altogether.
func (a *Agent) Remove(ctx context.Context, name string, interactive bool) error {
	return a.discard(ctx, name, interactive, func(c *contents, name string) {
		delete(c.Profiles, name)
		if c.Default == name {
			c.Default = ""
		}
		if c.Default == "" && len(c.Profiles) == 1 {
			for only := range c.Profiles {
				c.Default = only
			}
		}
	})
}

// discard removes the secret of a profile and changes the state. Cached tokens
// are gone even where one of these fails.
func (a *Agent) discard(ctx context.Context, name string, interactive bool, change func(*contents, string)) error {
	return a.alter(ctx, name, nil, func(rec Record) error {
		acct := rec.account
		if !a.rotates(rec.Provider) { // the answer may hold the only secret that counts
			acct.stop()
			defer acct.on() // it is still the profile's if this fails
		}
		defer acct.wipe() // also where another agent keeps this one from the rest
		return a.holding(ctx, rec, func() error {
			acct.wipe()
			if store := a.Stores[rec.Store]; store != nil && !rec.LoggedOut {
				err := store.Delete(ctx, acct.name, provider.Prompt(interactive))
				if err != nil && !errors.Is(err, provider.ErrNoSecret) {
					return err
				}
			}
			heir := newAccount(acct.name, nil, a.Clock.Now())
			heir.inherit(acct)
			bad := a.state.change(func(c *contents) *ipc.Error {
				c.Profiles[acct.name].account = heir
				change(c, acct.name)
				return nil
			})
			if bad == nil {
				a.publish(rec, ipc.Event{Type: ipc.EventLogout})
			}
			return orNil(bad)
		})
	})
}

// Use makes a profile the default.
func (a *Agent) Use(name string) error {
	if bad := ipc.CheckName(name); bad != nil {
		return bad
	}
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
	return a.alter(ctx, from, []string{to}, func(rec Record) error {
		if rec.account.name == to {
			return nil
		}
		return a.holding(ctx, rec, func() error {
			if err := a.saveNow(rec); err != nil {
				return err // it must be there to be moved
			}
			release, err := a.alone(ctx, to)
			if err != nil {
				return err
			}
			defer release()
			return a.rename(ctx, rec, to, provider.Prompt(interactive))
		})
	})
}

func (a *Agent) rename(ctx context.Context, rec Record, to string, prompt provider.Prompt) error {
	acct, store := rec.account, a.Stores[rec.Store]
	if _, bad := a.state.get(to); bad == nil {
		return errorf(ipc.CodeProfileExists, "remove it first, or choose another name", "there is a profile %s already", to)
	}
	moved := false
	if store != nil && !rec.LoggedOut {
		cred, err := store.Get(ctx, acct.name, prompt)
		if err == nil {
			if bad := a.state.change(func(c *contents) *ipc.Error { // see unfinished.go
				c.leave(rec.Store, to)
				return nil
			}); bad != nil {
				return bad
			}
			err = store.Put(ctx, to, cred, prompt)
			moved = err == nil
		}
		if err != nil && !errors.Is(err, provider.ErrNoSecret) {
			return err
		}
	}
	heir := rec.newAccount(to, a.Clock.Now())
	heir.inherit(acct)
	if bad := a.state.change(func(c *contents) *ipc.Error {
		moved := c.Profiles[acct.name]
		moved.account = heir
		moved.Told = nil // what was said names the old name, and is taken back
		delete(c.Profiles, acct.name)
		c.Profiles[to] = moved
		c.taken(rec.Store, to)
		if !rec.LoggedOut {
			c.leave(rec.Store, acct.name)
		}
		if c.Default == acct.name {
			c.Default = to
		}
		return nil
	}); bad != nil {
		if moved {
			if err := a.deleted(context.WithoutCancel(ctx), rec.Store, to, provider.NoPrompt); err != nil {
				a.Log.Error("a secret is left under a name that no profile has", "name", to, "store", rec.Store, "err", err)
			}
		}
		return bad
	}
	acct.wipe()
	if moved {
		if err := a.deleted(ctx, rec.Store, acct.name, prompt); err != nil {
			a.Log.Warn("the secret under the old name could not be removed", "profile", acct.name, "store", rec.Store, "err", err)
		}
	}
	return nil
}

func errNoProfile(name string) *ipc.Error {
	return errorf(ipc.CodeNoSuchProfile, "cspctl profile list shows the profiles; cspctl login "+name+" makes this one", "there is no profile %s", name)
}
