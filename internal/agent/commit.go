package agent

import (
	"context"
	"errors"
	"strings"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
)

// commit stores the secret and writes the state; if the state can't be
// written, the secret that was there before is put back. No exchange of the
// old secret is under way in the meantime, and none comes after.
func (a *Agent) commit(ctx context.Context, old, rec Record, cred provider.Credential, req ipc.LoginRequest, v *verified) (undo func(), err error) {
	if old.account == nil {
		release, err := a.alone(ctx, rec.account.name) // or another agent's tidy would find a secret without a profile
		if err != nil {
			return nil, err
		}
		defer release()
		return a.replace(ctx, old, rec, cred, req, v)
	}
	err = a.holding(ctx, old, func() error {
		if err := a.saveNow(old); err != nil {
			return err // it must be there to be put back
		}
		rec.account.inherit(old.account)
		undo, err = a.replace(ctx, old, rec, cred, req, v)
		if err == nil {
			old.account.wipe()
		}
		return err
	})
	return undo, err
}

// replace returns the function that takes all of it back.
func (a *Agent) replace(ctx context.Context, old, rec Record, cred provider.Credential, req ipc.LoginRequest, v *verified) (undo func(), err error) {
	name, prompt := rec.account.name, provider.Prompt(req.Interactive)
	store := a.Stores[rec.Store]
	before, err := store.Get(ctx, name, prompt)
	had := err == nil
	if err != nil && !errors.Is(err, provider.ErrNoSecret) {
		if _, ok := errors.AsType[*provider.StoreError](err); ok {
			return nil, storeChoices(err, rec.Store, req.Store)
		}
		// An item that can't be read is replaced, as a login is asked to do.
		a.Log.Warn("replacing an item that can't be read", "profile", name, "store", rec.Store, "err", err)
	}
	if rec.Pending && had && before.Binding == cred.Binding && !before.Secret.Equal(cred.Secret) {
		cred.Previous = before.Secret // should the new one turn out to be no good
	}
	// On record before the store is touched; see unfinished.go.
	if bad := a.state.change(func(c *contents) *ipc.Error {
		if r := c.Profiles[name]; r != nil {
			next := rec
			r.Next = &next
		} else {
			c.leave(rec.Store, name)
		}
		return nil
	}); bad != nil {
		return nil, bad
	}
	forget := func() {
		if bad := a.state.change(func(c *contents) *ipc.Error {
			if r := c.Profiles[name]; r != nil {
				r.Next = nil
			}
			if !had {
				c.taken(rec.Store, name)
			}
			return nil
		}); bad != nil {
			a.Log.Error("a login could not be taken back on record", "profile", name, "err", bad)
		}
	}
	if err := store.Put(ctx, name, cred, prompt); err != nil {
		forget()
		return nil, storeChoices(err, rec.Store, req.Store)
	}
	putBack := func() {
		undone := context.WithoutCancel(ctx)
		if had {
			err = store.Put(undone, name, before, provider.NoPrompt)
		} else {
			err = store.Delete(undone, name, provider.NoPrompt)
		}
		if err != nil {
			a.Log.Error("a secret could not be put back", "profile", name, "store", rec.Store, "err", err)
		}
	}
	def := ""
	if bad := a.state.change(func(c *contents) *ipc.Error {
		def = c.Default
		c.Profiles[name] = &rec
		c.taken(rec.Store, name)
		if old.Store != "" && old.Store != rec.Store && !old.LoggedOut {
			c.leave(old.Store, name)
		}
		if c.Default == "" || req.Default {
			c.Default = name
		}
		return nil
	}); bad != nil {
		putBack()
		forget()
		return nil, bad
	}
	if old.Store != "" && old.Store != rec.Store && !old.LoggedOut {
		if err := a.deleted(ctx, old.Store, name, prompt); err != nil {
			v.warnings = append(v.warnings, "the old secret is still in the "+old.Store+" store: "+wireError(err, name).Message)
		}
	}
	return func() {
		if bad := a.state.change(func(c *contents) *ipc.Error {
			c.Default = def
			delete(c.Profiles, name)
			if old.account != nil {
				c.Profiles[name] = &old
			}
			return nil
		}); bad != nil {
			a.Log.Error("a profile could not be put back", "profile", name, "err", bad)
		}
		putBack()
	}, nil
}

// storeChoices adds what else there is to the error of a store that the
// person did not choose.
func storeChoices(err error, kind, chosen string) error {
	w := *wireError(err, "")
	if chosen == "" && kind == provider.Keychain {
		const others = "or choose another store: --store file keeps it encrypted in a file, --store memory until the agent ends"
		w.Hint = strings.TrimPrefix(w.Hint+"; "+others, "; ")
	}
	return &w
}
