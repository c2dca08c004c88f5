package agent

import (
	"context"
	"sync"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
)

// Lockable is a store that a passphrase opens, and that can forget its key.
type Lockable interface {
	// Unlock returns an error with provider.ErrWrongPassphrase in its chain for
	// a passphrase that is not the store's. Where no passphrase opens the store,
	// it only ends a Lock.
	Unlock(ctx context.Context, passphrase secret.Text) error
	// Lock forgets the key. It does not wait.
	Lock()
	// NeedsPassphrase reports whether a passphrase is what opens the store, and
	// whether it has been chosen: by the first Unlock.
	NeedsPassphrase() (needs, set bool)
}

// fileStore is the store that a passphrase may open; nil if there is none.
func (a *Agent) fileStore() Lockable {
	s, _ := a.Stores[provider.File].(Lockable)
	return s
}

// errLocked answers whatever would give out or touch a secret.
var errLocked = errorf(ipc.CodeLocked, "cspctl unlock", "the agent is locked")

// period is a time in which the agent is open or locked. A caller belongs to
// the one in which it came: the answer to a question of before a lock is for
// nobody any more.
type period struct {
	ctx    context.Context // ends with it; the cause is errLocked
	cancel context.CancelCauseFunc
	locked bool
	since  time.Time

	// What ends it, if it is locked: the file store's passphrase, or the one
	// that matches takes.
	byStore bool
	matches func(secret.Text) bool

	mu      sync.Mutex
	changes int           // of secrets in stores, under way
	idle    chan struct{} // closed once it has ended and none is
}

func newPeriod(locked bool) *period {
	p := &period{locked: locked, idle: make(chan struct{})}
	p.ctx, p.cancel = context.WithCancelCause(context.Background())
	return p
}

func (p *period) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cancel(errLocked)
	if p.changes == 0 {
		close(p.idle)
	}
}

// ended reports whether the agent was locked since a caller came in p.
func (p *period) ended() bool { return p.ctx.Err() != nil }

// within is ctx, cancelled with errLocked when p ends.
func (p *period) within(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(p.ctx, func() { cancel(errLocked) })
	return ctx, func() { stop(); cancel(nil) }
}

// enter returns the period in which a caller comes, or refuses it.
func (a *Agent) enter() (*period, *ipc.Error) {
	p := a.period.Load()
	if p.locked {
		return nil, errLocked
	}
	return p, nil
}

// changing is enter for those who change what is in a store: its key is not
// forgotten before leave is called.
func (a *Agent) changing() (p *period, leave func(), bad *ipc.Error) {
	p, bad = a.enter()
	if bad != nil {
		return nil, nil, bad
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended() {
		return nil, nil, errLocked
	}
	p.changes++
	return p, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.changes--; p.changes == 0 && p.ended() {
			close(p.idle)
		}
	}, nil
}

// locking is what the agent knows of passphrases.
type locking struct {
	// turn holds one token: whoever takes it may work on a passphrase, which
	// takes long and much memory.
	turn  chan struct{}
	wrong attempts // guarded by turn

	key sync.Mutex // held while the file store of a locked agent forgets its key, or gets it back
}

// shutTime bounds how long a lock waits for the file store's key to be
// forgotten: half of what logind grants before a suspend.
const shutTime = 2500 * time.Millisecond

// Lock wipes every cached token and the file store's key, and gives nothing
// out until Unlock. It is unlocked by the file store's passphrase, or, where no
// file store holds one, by the one given here; without it, Lock fails with
// CodePassphraseNotSet. A locked agent stays as it is. Nothing of it is
// durable: an agent that is started again is open.
//
// The key is forgotten as soon as no rotating token needs it; see Rotator. Lock
// waits for that, for some seconds at most.
func (a *Agent) Lock(ctx context.Context, passphrase secret.Text, why string) (ipc.LockResult, error) {
	if p := a.period.Load(); p.locked {
		return p.result(true), nil
	}
	next := newPeriod(true)
	if store := a.fileStore(); store != nil {
		needs, set := store.NeedsPassphrase()
		next.byStore = needs && set
	}
	if !next.byStore {
		if passphrase.IsZero() || a.Passphrase == nil {
			return ipc.LockResult{}, errorf(ipc.CodePassphraseNotSet, "cspctl lock asks for one, or reads it with --passphrase-file",
				"there is no passphrase that would unlock the agent again")
		}
		if err := take(ctx, a.locking.turn); err != nil {
			return ipc.LockResult{}, errorf(ipc.CodeBusy, "try again", "another passphrase is being worked on")
		}
		matches, err := a.Passphrase(passphrase)
		a.locking.turn <- struct{}{}
		if err != nil {
			return ipc.LockResult{}, errorf(ipc.CodeInternal, "", "the passphrase can't be set: %v", err)
		}
		next.matches = matches
	}
	next.since = a.Clock.Now().Wall.UTC().Truncate(time.Second)
	was := a.period.Load()
	if was.locked || !a.period.CompareAndSwap(was, next) {
		return a.period.Load().result(true), nil // somebody else was first
	}
	was.end()
	a.Log.Info("the agent is locked", "why", why, "unlocked_by", next.result(false).UnlockedBy)
	a.forget(true)
	a.Publish(a.lockEvent(ipc.EventLocked, why))
	a.shut(ctx, was, next)
	return next.result(false), nil
}

func (p *period) result(already bool) ipc.LockResult {
	r := ipc.LockResult{Since: p.since, UnlockedBy: ipc.UnlockedByOwn, Already: already}
	if p.byStore {
		r.UnlockedBy = ipc.UnlockedByStore
	}
	return r
}

// AutoLock is Lock for when nobody can be asked for a passphrase: where there
// is none yet, only the cached tokens are wiped, and the agent stays open.
func (a *Agent) AutoLock(ctx context.Context, why string) {
	_, err := a.Lock(ctx, secret.Text{}, why)
	if e := wireError(err, ""); err != nil && e.Code != ipc.CodePassphraseNotSet {
		a.Log.Error("the agent could not be locked", "why", why, "err", err)
	}
	if err != nil {
		n := a.forget(false)
		a.Log.Info("the cached tokens are wiped; there is no passphrase to lock the agent with", "why", why, "tokens", n)
	}
}

// Locked reports whether the agent is locked, and since when.
func (a *Agent) Locked() (since time.Time, locked bool) {
	p := a.period.Load()
	return p.since, p.locked
}

func (a *Agent) lockEvent(kind, why string) ipc.Event {
	return ipc.Event{Schema: ipc.EventSchema, Type: kind, Time: a.Clock.Now().Wall.UTC().Truncate(time.Second), Message: why}
}
