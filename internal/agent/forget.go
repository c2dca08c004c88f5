package agent

import (
	"context"
	"time"

	"github.com/cspctl/cspctl/internal/provider"
)

// forget wipes the cached tokens of all profiles, and keeps those that are on
// their way out of the cache. With end, exchanges under way are ended, but for
// those whose answer may hold the only secret that counts. It returns how many
// tokens were wiped.
func (a *Agent) forget(end bool) int {
	c, bad := a.state.load()
	if bad != nil {
		return 0 // without profiles there are no tokens
	}
	n := 0
	for _, rec := range c.Profiles {
		n += rec.account.forget(end && !a.rotates(rec.Provider))
	}
	return n
}

// forget wipes what is cached, and whatever an exchange under way brings; with
// end it ends that exchange.
func (acct *account) forget(end bool) (wiped int) {
	acct.mu.Lock()
	defer acct.mu.Unlock()
	acct.wipes++
	if acct.proxy != nil {
		wiped++
		acct.proxy = nil
	}
	for _, s := range acct.slots {
		if s.entry != nil {
			wiped++
		}
		s.entry, s.last = nil, nil
	}
	if end && acct.interrupt != nil {
		acct.interrupt(errLocked)
	}
	return wiped
}

// shut has the file store forget its key as soon as nobody needs it. It waits
// for that until ctx ends, for shutTime at most.
func (a *Agent) shut(ctx context.Context, was, p *period) {
	store := a.fileStore()
	if store == nil {
		return
	}
	if needs, set := store.NeedsPassphrase(); needs && !set {
		return // there is no key
	}
	done := make(chan struct{})
	if !a.spawn(func() { defer close(done); a.shutWhenSaved(was, p, store) }) {
		return
	}
	patience := time.NewTimer(shutTime)
	defer patience.Stop()
	select {
	case <-done:
	case <-patience.C:
		a.Log.Info("the file store is locked as soon as a token that is being replaced is stored")
	case <-ctx.Done():
	}
}

// shutWhenSaved waits until no change of a secret that began in was is under
// way, and until each rotating token is durable: the key is what it is stored
// with. Then the key is forgotten, unless p has ended.
func (a *Agent) shutWhenSaved(was, p *period, store Lockable) {
	ctx, done := p.within(a.ctx)
	defer done()
	if take(ctx, was.idle) != nil {
		return
	}
	for pause := time.Second; !a.allSaved(ctx); pause = min(2*pause, 30*time.Second) {
		again := time.NewTimer(pause)
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return
		}
	}
	a.locking.key.Lock()
	defer a.locking.key.Unlock()
	if !p.ended() {
		store.Lock()
	}
}

// allSaved reports whether no secret of the file store is in memory alone. It
// waits for the exchanges of rotating ones that are under way.
func (a *Agent) allSaved(ctx context.Context) bool {
	c, bad := a.state.load()
	if bad != nil {
		return true
	}
	for _, rec := range c.Profiles {
		acct := rec.account
		if rec.Store != provider.File || !a.rotates(rec.Provider) {
			continue
		}
		if take(ctx, acct.turn) != nil {
			return false
		}
		acct.mu.Lock()
		unsaved := acct.unsaved != nil
		acct.mu.Unlock()
		if unsaved {
			unsaved = a.saveAlone(*rec) != nil
		}
		acct.turn <- struct{}{}
		if unsaved {
			return false
		}
	}
	return true
}
