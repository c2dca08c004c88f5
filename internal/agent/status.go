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
	if c, bad := a.state.load(); bad == nil {
		for _, rec := range c.sorted() {
			s.Profiles = append(s.Profiles, rec.status(c.Default, now))
		}
	}
	return s
}

// StoreStates describes the stores. It is bounded in time, and asks nobody for
// anything.
func (a *Agent) StoreStates(ctx context.Context) []ipc.StoreStatus {
	kinds := []string{provider.Keychain, provider.File, provider.Memory}
	states := make([]ipc.StoreStatus, len(kinds))
	var wg sync.WaitGroup
	for i, kind := range kinds {
		if store := a.Stores[kind]; store != nil {
			wg.Go(func() {
				s := store.State(ctx)
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
