package agent

import (
	"context"
	"os"
	"sync"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
)

// Status describes every profile and store. Probing the stores is bounded in
// time and asks nobody for anything.
func (a *Agent) Status(ctx context.Context) ipc.Status {
	now := a.Clock.Now()
	s := ipc.Status{
		Version:   ipc.Version,
		PID:       os.Getpid(),
		StartedAt: a.started.Wall.UTC().Truncate(time.Second),
		Stores:    a.StoreStates(ctx),
		Profiles:  []ipc.ProfileStatus{},
	}
	if since, locked := a.Locked(); locked {
		s.Locked, s.LockedSince = true, &since
	}
	if c, bad := a.state.load(); bad == nil {
		for _, rec := range c.sorted() {
			s.Profiles = append(s.Profiles, rec.status(c.Default, now))
		}
	}
	return s
}

// StoreStates describes the stores; the keychain as it was keychainTime ago at
// most. It is bounded in time, and asks nobody for anything.
func (a *Agent) StoreStates(ctx context.Context) []ipc.StoreStatus {
	kinds := []string{provider.Keychain, provider.File, provider.Memory}
	states := make([]ipc.StoreStatus, len(kinds))
	var wg sync.WaitGroup
	for i, kind := range kinds {
		if store := a.Stores[kind]; store != nil {
			wg.Go(func() {
				s := a.storeState(ctx, kind, store)
				states[i] = ipc.StoreStatus{Kind: kind, Status: string(s.Status), Detail: s.Detail, Hint: s.Hint}
			})
		}
	}
	wg.Wait()
	found := states[:0]
	for _, s := range states {
		if s.Kind != "" {
			found = append(found, s)
		}
	}
	return found
}

// keychainTime is for how long the state of the keychain is remembered: who
// watches asks each second, and each look is a talk over a bus.
const keychainTime = 2 * time.Second

// look is a look at the keychain, which others may join.
type look struct {
	began Instant
	done  chan struct{} // closed once state is there
	state provider.StoreState
}

// storeState returns the state of a store: of the keychain, what is remembered
// or what the one look that is under way finds. That look is nobody's: the
// store bounds it, and no caller's end spoils it for the others.
func (a *Agent) storeState(ctx context.Context, kind string, store Store) provider.StoreState {
	if kind != provider.Keychain {
		return store.State(ctx)
	}
	l := a.lookAt(store)
	if l == nil {
		return store.State(ctx)
	}
	select {
	case <-l.done:
		return l.state
	case <-ctx.Done():
		return provider.StoreState{Kind: kind, Status: provider.StoreUnavailable, Detail: "it has not answered yet"}
	}
}

// lookAt returns the latest look at the keychain, or begins another; nil once
// the agent is closed.
func (a *Agent) lookAt(store Store) *look {
	a.looking.Lock()
	defer a.looking.Unlock()
	now := a.Clock.Now()
	if l := a.looked; l != nil {
		select {
		case <-l.done:
			if age := l.began.Since(now); age >= 0 && age < keychainTime {
				return l
			}
		default:
			return l
		}
	}
	l := &look{began: now, done: make(chan struct{})}
	if !a.spawn(func() { l.state = store.State(a.ctx); close(l.done) }) {
		return nil
	}
	a.looked = l
	return l
}

func (rec Record) status(def string, now Instant) ipc.ProfileStatus {
	acct := rec.account
	acct.mu.Lock()
	defer acct.mu.Unlock()
	p := ipc.ProfileStatus{
		Profile: rec.profile(def),
		State:   ipc.StateIdle,
		// After a logout, it is nobody's.
		Deactivated: rec.Deactivated && !rec.LoggedOut,
		LastError:   acct.lastError,
		Exchanges:   acct.exchanges,
		Hits:        acct.hits,
		Misses:      acct.misses,
	}
	if acct.exchanges > 0 {
		p.LastExchange = wallTime(acct.lastExchange.Wall)
	}
	if at, ever := acct.trouble.retryAt(); acct.trouble != nil && ever && at.Boot > now.Boot {
		p.RetryAt = wallTime(now.Wall.Add(at.Boot - now.Boot))
	}
	if s := acct.slots[keyOf(upstream(rec, ipc.TokenRequest{}))]; s != nil && s.entry != nil && s.entry.left(now) > 0 {
		left := s.entry.left(now)
		p.AccessToken = &ipc.TokenStatus{
			ObtainedAt: *wallTime(now.Wall.Add(-s.entry.obtained.Since(now))),
			ExpiresAt:  *wallTime(now.Wall.Add(left)),
		}
		if in, ok := acct.renewalIn(s, now); ok {
			p.AccessToken.RenewAt = wallTime(now.Wall.Add(in))
		}
		if s.entry.good(now, ask{}) {
			p.State = ipc.StateReady
		}
	}
	switch {
	case rec.LoggedOut:
		p.State = ipc.StateLoggedOut
	case p.State == ipc.StateReady && acct.trouble == nil: // a passcode may have brought the token
	case acct.passcode:
		p.State = ipc.StatePasscode
	case acct.trouble != nil && acct.trouble.permanent():
		p.State = ipc.StateRefused
	case acct.trouble != nil:
		p.State = ipc.StateFailing
	}
	return p
}

func wallTime(t time.Time) *time.Time {
	t = t.UTC().Truncate(time.Second)
	return &t
}
