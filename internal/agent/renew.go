package agent

import (
	"context"
	"math/rand/v2"
	"time"
)

// tick is how long Run sleeps at most. Its timer may stand still while the
// machine is suspended, so this is also how soon it notices a resume.
const tick = 30 * time.Second

// nudgeSlack is how much sooner than Run knows a renewal must be for Run to be
// roused: the two clocks drift apart by less than this between two looks.
const nudgeSlack = 50 * time.Millisecond

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
	next := tick
	spread := a.awake(now)
	c, bad := a.state.refresh() // another agent may have changed it
	if bad != nil {
		return next
	}
	if _, locked := a.Locked(); locked {
		return next // its end rouses Run
	}
	a.tidy()
	for _, rec := range c.Profiles {
		next = min(next, a.renewAccount(rec.account, now, spread))
	}
	return max(next, time.Millisecond)
}

// renewAccount starts the renewals of one profile that are due, each after a
// random part of spread, and returns how long it is until its next one, or
// tick if that is longer.
func (a *Agent) renewAccount(acct *account, now Instant, spread time.Duration) time.Duration {
	next := tick
	acct.mu.Lock()
	defer acct.mu.Unlock()
	for _, s := range acct.slots {
		s.looked = now.Add(tick)
		in, ok := acct.renewalIn(s, now)
		switch {
		case !ok:
		case in > 0:
			next = min(next, in)
			s.looked = now.Add(min(in, tick))
		default:
			f := newFlight()
			f.background, f.pause = true, rand.N(spread+1)
			a.launch(acct, s, f)
		}
	}
	return next
}

// renewalIn says how long it is until the token of a slot is to be renewed
// ahead; false if that is not planned, or under way. It is planned for tokens
// that were asked for within their life. The caller holds acct.mu.
func (acct *account) renewalIn(s *slot, now Instant) (time.Duration, bool) {
	e, u := s.entry, &s.usage
	switch {
	case !s.idle(): // its end rouses Run
		return 0, false
	case acct.passcode: // only a person can give one
		return 0, false
	case e == nil || !u.asked || u.lastAsked.Since(now) >= e.total:
		return 0, false
	}
	in := e.left(now) - e.renewAt(u.wantedNow(now)) - e.jitter
	in = max(in, max(e.minInterval(), s.last.minInterval())-s.last.obtained.Since(now), 0)
	for _, t := range []*trouble{acct.trouble, s.trouble} {
		if t == nil {
			continue
		}
		at, ever := t.retryAt()
		if !ever {
			return 0, false
		}
		in = max(in, at.Boot-now.Boot)
	}
	return in, true
}

// nudge rouses Run if the renewal of a slot has come closer than Run knows.
// The caller holds acct.mu.
func (a *Agent) nudge(acct *account, s *slot, now Instant) {
	if in, ok := acct.renewalIn(s, now); ok && now.Boot+in+nudgeSlack < s.looked.Boot {
		a.rouse()
	}
}
