package expiry

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
)

// Profiles is what the Watch needs of the agent. Its methods may be called at
// the same time, and wait for no server.
type Profiles interface {
	// Subjects returns what is known of the secret of each profile that is
	// logged in. An error is temporary.
	Subjects() ([]Subject, error)
	// AskDue has the servers asked, in the background, about the secrets of
	// which the agent has not heard for long.
	AskDue()
	// Alone keeps other agents on the same state from telling anything through
	// a channel until release is called; false if one of them is at it. What
	// they have told is in Subjects afterwards.
	Alone(ctx context.Context, channel string) (release func(), ok bool)
	// Remember puts on record what a channel was told about the secret that a
	// profile had since login; the zero Told for nothing. It does nothing if
	// the profile has another secret by now.
	Remember(profile string, login time.Time, channel string, t Told) error
}

// Options are what a Watch is made of. All are needed, but for Wanted and Log.
type Options struct {
	Profiles Profiles
	Channels []Channel
	Stages   func(profile string) Stages
	// Wanted reports whether a channel is to be told about a profile. Nil: yes.
	Wanted func(channel, profile string) bool
	// Now tells the time by the wall clock, and since boot, suspend included.
	Now func() (wall time.Time, boot time.Duration)
	Log *slog.Logger
}

// Watch tells people of API tokens that are about to end: through each channel
// of each stage once, in order. Where several have passed unseen, since the
// machine slept or the agent was off, it tells of the most urgent alone.
type Watch struct {
	profiles Profiles
	desks    []*desk
}

const (
	// tick is how long the Watch sleeps at most: its timers may stand still
	// while the machine is suspended.
	tick = 30 * time.Second
	// stepNoticed is a jump of the wall clock that makes the Watch wait for
	// settleTime before it believes it: some clocks are wrong until the network
	// is there.
	stepNoticed, settleTime = time.Hour, 10 * time.Minute
	// channelTime bounds one call of a channel, which has bounds of its own: the
	// longest is a hook that may run for ten minutes, behind another one.
	channelTime = 25 * time.Minute
)

// New makes a Watch.
func New(o Options) *Watch {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Wanted == nil {
		o.Wanted = func(string, string) bool { return true }
	}
	w := &Watch{profiles: o.Profiles}
	for _, c := range o.Channels {
		w.desks = append(w.desks, newDesk(o, c))
	}
	return w
}

// Run watches until ctx ends. A channel that hangs keeps no other waiting.
func (w *Watch) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, d := range w.desks {
		wg.Go(func() { repeat(ctx, d.wake, func() time.Duration { return d.look(ctx) }) })
	}
	repeat(ctx, nil, func() time.Duration { w.profiles.AskDue(); return tick })
	wg.Wait()
}

// repeat calls f at once, when the time has passed that it returned, and when
// roused, until ctx ends.
func repeat(ctx context.Context, wake <-chan struct{}, f func() time.Duration) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-wake:
		}
		if ctx.Err() != nil {
			return
		}
		timer.Reset(f())
	}
}

// Rouse makes the Watch look again at once: a profile has changed, or a
// channel has found somebody to talk to.
func (w *Watch) Rouse() {
	for _, d := range w.desks {
		select {
		case d.wake <- struct{}{}:
		default:
		}
	}
}

// Observe is for events: it rouses the Watch where one may have changed what
// is to be told.
func (w *Watch) Observe(e ipc.Event) {
	switch e.Type {
	case ipc.EventLogin, ipc.EventLogout:
		w.Rouse()
	case ipc.EventExchange:
		if e.Outcome == ipc.OutcomeRefused {
			w.Rouse()
		}
	}
}

// Snooze leaves a person alone for a day who asked for it on a channel, unless
// the token is about to die or is dead.
func (w *Watch) Snooze(channel, profile string) {
	for _, d := range w.desks {
		if d.channel.Name() == channel {
			d.snooze(profile)
		}
	}
}
