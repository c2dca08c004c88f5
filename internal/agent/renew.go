package agent

import (
	"context"
	"math/rand/v2"
	"time"
)

// tick is how long Run sleeps at most. Its timer stands still while the
// machine is suspended, so this is also how soon it notices a resume.
const tick = 30 * time.Second

// wakeSpread is the time over which renewals are spread after a resume.
const wakeSpread = 2 * time.Second

// Run renews the tokens of profiles in use ahead of time until ctx ends.
func (a *Agent) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-a.wake:
		}
		timer.Reset(a.renewDue())
	}
}

// rouse makes Run look again at once.
func (a *Agent) rouse() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// renewDue starts every renewal that is due, and returns how long it is until
// the next one.
func (a *Agent) renewDue() time.Duration {
	now := a.Clock.Now()
	var spread time.Duration
	if a.awake(now) {
		spread = wakeSpread
	}
	next := tick
	a.mu.Lock()
	accounts := make([]*account, 0, len(a.accounts))
	for _, acct := range a.accounts {
		accounts = append(accounts, acct)
	}
	a.mu.Unlock()
	for _, acct := range accounts {
		if in, ok := a.renewAccount(acct, now, spread); ok {
			next = min(next, in)
		}
	}
	return max(next, time.Millisecond)
}

// renewAccount starts the renewals of one profile that are due, and returns
// how long it is until its next one; false if none is planned.
func (a *Agent) renewAccount(acct *account, now Instant, spread time.Duration) (next time.Duration, planned bool) {
	_, rec, bad := a.find(acct.name)
	if bad != nil || rec.LoggedOut {
		return 0, false
	}
	next = tick
	acct.mu.Lock()
	defer acct.mu.Unlock()
	for _, s := range acct.slots {
		s.looked = now.Boot + tick
		in, ok := acct.renewalIn(s, now)
		if !ok {
			continue
		}
		if in > 0 {
			next, planned = min(next, in), true
			s.looked = now.Boot + min(in, tick)
			continue
		}
		f := newFlight(true)
		f.pause = rand.N(spread + 1)
		a.launch(acct, s, f, rec)
	}
	return next, planned
}

// renewalIn says how long it is until the token of a slot is to be renewed;
// false if that is not planned, or under way. The caller holds acct.mu.
func (acct *account) renewalIn(s *slot, now Instant) (time.Duration, bool) {
	if s.running != nil || s.queued != nil || acct.passcode {
		return 0, false // their end rouses Run; a passcode only a person can give
	}
	in, ok := s.entry.renewalIn(now, acct.lastExchange, &s.usage)
	for _, t := range []*trouble{acct.trouble, s.trouble} {
		if t == nil {
			continue
		}
		at, ever := t.retryAt()
		in, ok = max(in, at.Boot-now.Boot), ok && ever
	}
	return in, ok
}

// nudge rouses Run if the renewal of a slot has come closer than Run knows.
// The caller holds acct.mu.
func (a *Agent) nudge(acct *account, s *slot, now Instant) {
	if in, ok := acct.renewalIn(s, now); ok && now.Boot+in < s.looked {
		a.rouse()
	}
}
