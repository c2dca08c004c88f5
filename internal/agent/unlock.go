package agent

import (
	"context"
	"errors"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
)

// Unlock ends a lock of the agent, and opens the file store. An empty
// passphrase asks which one is needed: there is no error if none is. Where no
// passphrase has been chosen for the file store yet, it fails with
// CodePassphraseNotSet unless choose is set: a slip of the fingers must not
// become the passphrase.
//
// After a wrong passphrase, the next one is looked at only when some time has
// passed; until then each is answered at once, with CodeRateLimited.
func (a *Agent) Unlock(ctx context.Context, passphrase secret.Text, choose bool) error {
	if need := a.needed(ctx); need == nil && passphrase.IsZero() {
		return nil
	} else if need != nil && (passphrase.IsZero() || need.Code == ipc.CodePassphraseNotSet && !choose) {
		return need
	}
	if err := take(ctx, a.locking.turn); err != nil {
		return errorf(ipc.CodeBusy, "try again", "another passphrase is being tried")
	}
	defer func() { a.locking.turn <- struct{}{} }()
	if bad := a.locking.wrong.refuses(a.Clock.Now()); bad != nil {
		return bad
	}
	err := a.open(ctx, passphrase)
	if errors.Is(err, provider.ErrWrongPassphrase) {
		n, pause := a.locking.wrong.add(a.Clock.Now())
		a.Log.Warn("a wrong passphrase", "attempts", n, "next_in", pause)
		w := *wireError(err, "")
		w.Hint, w.Retry = waitFor(pause)+", then try again: cspctl unlock", seconds(pause)
		return &w
	}
	if err != nil {
		return wireError(err, "")
	}
	a.locking.wrong.forget()
	a.rouse()
	return nil
}

// needed says which passphrase is asked for; nil if none is.
func (a *Agent) needed(ctx context.Context) *ipc.Error {
	p, store := a.period.Load(), a.fileStore()
	needs, set := false, false
	if store != nil {
		needs, set = store.NeedsPassphrase()
	}
	switch {
	case p.locked && p.byStore && !(needs && set):
		return errorf(ipc.CodeStoreAbsent, "restore it from a backup; else end the agent, and its next start is unlocked",
			"the key of the file store, which the passphrase opens, is gone")
	case p.locked && p.byStore:
		return errorf(ipc.CodeStoreLocked, "cspctl unlock", "the agent is locked: the passphrase of the file store unlocks it")
	case p.locked:
		return errLocked
	case needs && !set:
		return errorf(ipc.CodePassphraseNotSet, "cspctl unlock", "the file store has no passphrase yet")
	case needs && a.Stores[provider.File].State(ctx).Status == provider.StoreLocked:
		return errorf(ipc.CodeStoreLocked, "cspctl unlock", "the file store is locked")
	}
	return nil
}

// open ends the lock, if there is one, and opens the file store. The caller
// holds the turn.
func (a *Agent) open(ctx context.Context, passphrase secret.Text) error {
	p, store := a.period.Load(), a.fileStore()
	if p.locked && !p.byStore && !p.matches(passphrase) {
		return &ipc.Error{Code: ipc.CodeLocked, Message: "the passphrase is wrong", Hint: "try again: cspctl unlock", Err: provider.ErrWrongPassphrase}
	}
	if !p.locked {
		if store == nil {
			return nil
		}
		err := store.Unlock(ctx, passphrase)
		if now := a.period.Load(); err == nil && now.locked { // it came meanwhile, and forgot no key or the one before
			a.spawn(func() { a.shutWhenSaved(p, now, store) })
			return errLocked
		}
		return err
	}
	a.locking.key.Lock() // nothing forgets the key between the two steps
	defer a.locking.key.Unlock()
	switch {
	case p.byStore:
		if bad := a.needed(ctx); bad != nil && bad.Code == ipc.CodeStoreAbsent {
			return bad // or a new passphrase would be chosen
		}
		if err := store.Unlock(ctx, passphrase); err != nil {
			return err
		}
	case store != nil:
		if needs, _ := store.NeedsPassphrase(); !needs {
			if err := store.Unlock(ctx, passphrase); err != nil {
				a.Log.Warn("the agent is unlocked, the file store is not", "err", err)
			}
		}
	}
	a.period.Store(newPeriod(false)) // the turn is held: nobody else ends a lock
	p.end()
	a.Log.Info("the agent is unlocked")
	a.Publish(a.lockEvent(ipc.EventUnlocked, ""))
	return nil
}
