package expiry

import (
	"context"
	"errors"
	"sync"
	"time"
)

// desk serves one channel: it knows what the channel was told, and tells it
// what is due.
type desk struct {
	Options
	channel Channel
	wake    chan struct{}

	mu sync.Mutex // guards the rest, and is held for moments
	// memos are kept by profile, and forgotten with the secret.
	memos map[string]*memo

	clock steady // of look alone
}

// memo is what a desk knows about one secret.
type memo struct {
	login   time.Time
	told    Told
	unsaved bool // told is not in the state yet
	snoozed bool // since the announcement under way began

	tries   int           // that failed, for the stage due
	stage   string        // due when they failed
	retryAt time.Duration // boot time
}

func newDesk(o Options, c Channel) *desk {
	return &desk{Options: o, channel: c, wake: make(chan struct{}, 1), memos: map[string]*memo{}}
}

// look tells the channel what is due for each profile, and returns when to look
// again.
func (d *desk) look(ctx context.Context) time.Duration {
	wall, boot := d.Now()
	list, err := d.Profiles.Subjects()
	if err != nil || !d.clock.settled(wall, boot, latest(list)) {
		return tick
	}
	d.clear(ctx, list)
	for _, s := range list {
		if ctx.Err() != nil || errors.Is(d.serve(ctx, s), ErrNobody) {
			break // who is not there for one is there for none
		}
	}
	wall, _ = d.Now() // the channel may have taken its time
	in := tick
	for _, s := range list {
		in = s.next(d.Stages(s.Profile), wall, in)
	}
	return in
}

// clear forgets the secrets that are gone, and takes back what was said of them.
func (d *desk) clear(ctx context.Context, list []Subject) {
	logins := map[string]time.Time{}
	for _, s := range list {
		logins[s.Profile] = s.Login
	}
	var refs []string
	d.mu.Lock()
	for name, f := range d.memos {
		if login, ok := logins[name]; !ok || !login.Equal(f.login) {
			delete(d.memos, name)
			if f.told.Stage != "" {
				refs = append(refs, f.told.Ref)
			}
		}
	}
	d.mu.Unlock()
	for _, ref := range refs {
		d.withdraw(ctx, ref)
	}
}

// recall returns what is known about a secret: what the state says, which
// another agent may have written, unless the desk knows better. The caller
// holds mu.
func (d *desk) recall(s Subject) *memo {
	f := d.memos[s.Profile]
	if f == nil {
		f = &memo{login: s.Login}
		d.memos[s.Profile] = f
	}
	if !f.unsaved {
		f.told = s.Told[d.channel.Name()]
	}
	return f
}

// serve tells the channel what is due for one secret, and returns what the
// channel says.
func (d *desk) serve(ctx context.Context, s Subject) (err error) {
	wall, boot := d.Now() // the one before may have taken its time
	stage := s.Stage(d.Stages(s.Profile), wall)
	if !d.Wanted(d.channel.Name(), s.Profile) {
		stage = ""
	}
	d.mu.Lock()
	f := d.recall(s)
	told := f.told
	if f.stage != stage {
		f.tries, f.retryAt, f.stage = 0, 0, stage
	}
	wait := f.tries > 0 && boot < f.retryAt
	f.snoozed = false
	d.mu.Unlock()

	due := told.due(s, stage, wall)
	if due == announce && wait {
		return nil
	}
	if due != leave {
		release, known, ok := d.alone(ctx, s)
		if !ok {
			return nil // another agent is telling; it is looked at again
		}
		defer release()
		d.mu.Lock()
		if !f.unsaved {
			f.told = known
		}
		told = f.told
		d.mu.Unlock()
		due = told.due(s, stage, wall)
	}
	switch due {
	case announce:
		var ref string
		if ref, err = d.announce(ctx, s, stage, wall, told.Ref); err != nil {
			if !d.failed(ctx, f, s, stage, err) {
				return err
			}
			ref = told.Ref // what it says is still there, and is replaced or taken back some day
		}
		d.record(f, told.next(stage, wall, ref))
	case withdraw:
		d.withdraw(ctx, told.Ref)
		forgotten := Told{}
		if told.Earlier != "" {
			forgotten = Told{Stage: told.Earlier, At: told.At}
		}
		d.record(f, forgotten)
	}
	d.save(f, s)
	return err
}

// alone keeps other agents on the same state from using the channel, so that
// each thing is told by one of them, and returns what the channel was told by
// now; false if another agent is using it, or if the secret is gone.
func (d *desk) alone(ctx context.Context, s Subject) (release func(), told Told, ok bool) {
	release, ok = d.Profiles.Alone(ctx, d.channel.Name())
	if !ok {
		return nil, Told{}, false
	}
	list, err := d.Profiles.Subjects()
	for _, now := range list {
		if err == nil && now.Profile == s.Profile && now.Login.Equal(s.Login) {
			return release, now.Told[d.channel.Name()], true
		}
	}
	release()
	return nil, Told{}, false
}

func (d *desk) announce(ctx context.Context, s Subject, stage string, now time.Time, ref string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, channelTime)
	defer cancel()
	return d.channel.Announce(ctx, s.Warning(stage, now), ref)
}

func (d *desk) withdraw(ctx context.Context, ref string) {
	ctx, cancel := context.WithTimeout(ctx, channelTime)
	defer cancel()
	d.channel.Withdraw(ctx, ref)
}

// pauses are how long to wait after each failure of a channel. After the last
// one the stage is given up: the next one is another chance.
var pauses = []time.Duration{time.Minute, 10 * time.Minute, time.Hour}

// failed plans another try. It reports whether there is none.
func (d *desk) failed(ctx context.Context, f *memo, s Subject, stage string, err error) (over bool) {
	if errors.Is(err, ErrNobody) || ctx.Err() != nil {
		return false
	}
	_, boot := d.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if f.tries == len(pauses) {
		d.Log.Error("a warning could not be delivered and is given up", "channel", d.channel.Name(), "profile", s.Profile, "stage", stage, "err", err)
		return true
	}
	f.retryAt = boot + pauses[f.tries]
	f.tries++
	d.Log.Warn("a warning could not be delivered", "channel", d.channel.Name(), "profile", s.Profile, "stage", stage,
		"again_in", pauses[f.tries-1], "err", err)
	return false
}

func (d *desk) record(f *memo, t Told) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f.snoozed && t.Stage != "" {
		t.Until = f.told.Until // a person was quick
	}
	f.told, f.unsaved, f.tries = t, true, 0
}

// save writes what the channel was told to the state. What can't be written
// now is written later: a full disk repeats no warning.
func (d *desk) save(f *memo, s Subject) {
	d.mu.Lock()
	told, unsaved := f.told, f.unsaved
	d.mu.Unlock()
	if !unsaved {
		return
	}
	if err := d.Profiles.Remember(s.Profile, s.Login, d.channel.Name(), told); err != nil {
		d.Log.Debug("what was told could not be remembered", "profile", s.Profile, "err", err)
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	f.unsaved = f.told != told
}

func (d *desk) snooze(profile string) {
	wall, _ := d.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if f := d.memos[profile]; f != nil && f.told.Stage != "" {
		f.told.Until, f.unsaved, f.snoozed = wall.Add(snoozeTime).UTC().Truncate(time.Second), true, true
		select {
		case d.wake <- struct{}{}: // to save it
		default:
		}
	}
}
