package agent

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
)

// A change that touches a store and the state can be cut off between the two,
// by kill -9 or a power cut. So the state says beforehand what is about to
// happen, and whoever finds that later finishes it or takes it back:
//
//   - Record.Next is what a profile becomes once its new secret is stored. The
//     binding in the store's item decides which of both is true.
//   - contents.Leftovers are items that no profile is to have.

// leftover is an item of a store that is to be deleted, unless a profile of
// that name uses that store.
type leftover struct {
	Store   string `json:"store"`
	Profile string `json:"profile"`
}

// leave puts an item on the list of leftovers.
func (c *contents) leave(store, profile string) {
	if l := (leftover{store, profile}); !slices.Contains(c.Leftovers, l) {
		c.Leftovers = append(slices.Clone(c.Leftovers), l)
	}
}

// taken takes it off.
func (c *contents) taken(store, profile string) {
	c.Leftovers = slices.DeleteFunc(slices.Clone(c.Leftovers), func(l leftover) bool { return l == leftover{store, profile} })
}

// deleted deletes an item that no profile has any more, now or later.
func (a *Agent) deleted(ctx context.Context, store, profile string, p provider.Prompt) error {
	s := a.Stores[store]
	if s == nil {
		return nil
	}
	if err := s.Delete(ctx, profile, p); err != nil && !errors.Is(err, provider.ErrNoSecret) {
		return err
	}
	return orNil(a.state.change(func(c *contents) *ipc.Error {
		c.taken(store, profile)
		return nil
	}))
}

// tidyTime bounds one attempt to delete leftovers.
const tidyTime = 20 * time.Second

// tidy deletes the leftovers of changes that were cut off, as far as it can
// be done without asking anybody.
func (a *Agent) tidy() {
	c, bad := a.state.load()
	if bad != nil || len(c.Leftovers) == 0 || !a.tidying.CompareAndSwap(false, true) {
		return
	}
	if !a.spawn(func() {
		defer a.tidying.Store(false)
		ctx, cancel := context.WithTimeout(a.ctx, tidyTime)
		defer cancel()
		for _, l := range c.Leftovers {
			if err := a.tidyOne(ctx, l); err != nil {
				a.Log.Warn("a secret that no profile has can't be deleted yet", "profile", l.Profile, "store", l.Store, "err", err)
			}
		}
	}) {
		a.tidying.Store(false)
	}
}

func (a *Agent) tidyOne(ctx context.Context, l leftover) error {
	unlock, bad := a.lock(ctx, l.Profile) // a change under way may yet want it
	if bad != nil {
		return bad
	}
	defer unlock()
	release, err := a.alone(ctx, l.Profile) // and so may one of another agent
	if err != nil {
		return err
	}
	defer release()
	c, bad := a.state.refresh()
	if bad != nil {
		return bad
	}
	if !slices.Contains(c.Leftovers, l) {
		return nil
	}
	if r := c.Profiles[l.Profile]; r != nil && (r.Store == l.Store && !r.LoggedOut || r.Next != nil) {
		return orNil(a.state.change(func(c *contents) *ipc.Error {
			c.taken(l.Store, l.Profile)
			return nil
		}))
	}
	return a.deleted(ctx, l.Store, l.Profile, provider.NoPrompt)
}

// settle finds out whether the login that was cut off for a profile had come
// as far as storing its secret, and makes the profile what it then is. It
// returns errAgain if it did something, nil if there was nothing to do.
func (a *Agent) settle(ctx context.Context, rec Record, p provider.Prompt) error {
	next := rec.Next
	if next == nil {
		return nil
	}
	stored := false
	if store := a.Stores[next.Store]; store != nil {
		cred, err := store.Get(ctx, rec.account.name, p)
		if err != nil && !errors.Is(err, provider.ErrNoSecret) {
			return &storeFailure{err}
		}
		stored = err == nil && next.binding().differs(cred.Binding) == ""
	}
	name := rec.account.name
	if bad := a.state.change(func(c *contents) *ipc.Error {
		r := c.Profiles[name]
		if r == nil || r.Next == nil {
			return nil
		}
		if !stored {
			r.Next = nil
			return nil
		}
		if r.Store != next.Store && !r.LoggedOut {
			c.leave(r.Store, name)
		}
		n := *next
		n.account, n.Next = n.newAccount(name, a.Clock.Now()), nil
		c.Profiles[name] = &n
		return nil
	}); bad != nil {
		return bad
	}
	a.Log.Info("a login that was cut off is settled", "profile", name, "new_secret", stored)
	return errAgain
}
