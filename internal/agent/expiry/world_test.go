package expiry_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cspctl/cspctl/internal/agent/expiry"
	"github.com/cspctl/cspctl/internal/ipc"
)

// world is a machine with profiles, channels and a watch, in a bubble.
type world struct {
	t     *testing.T
	start time.Time

	mu       sync.Mutex
	slept    time.Duration // suspended: both clocks go on, timers stand still
	step     time.Duration // of the wall clock
	subjects map[string]expiry.Subject
	full     bool            // nothing can be remembered
	telling  map[string]bool // an agent is, by channel
	asked    int
	stages   expiry.Stages

	channels []expiry.Channel
	watch    *expiry.Watch
	stop     func()
}

// inWorld runs f in a bubble, in a world with a channel that hears and a token
// of 180 days, of which 31 are left.
func inWorld(t *testing.T, f func(w *world, c *channel)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &channel{name: "desktop"}
		w := &world{t: t, start: time.Now(), subjects: map[string]expiry.Subject{}, telling: map[string]bool{}, channels: []expiry.Channel{c}, stages: expiry.Default}
		w.login("prod", 31*day)
		w.change("prod", func(s *expiry.Subject) { s.Life = 180 * day })
		w.on()
		defer func() { w.stop() }()
		f(w, c)
	})
}

// on starts the watch; stop ends it.
func (w *world) on() { w.watch, w.stop = w.another(w.channels...) }

// another starts a watch, as another agent on the same state does.
func (w *world) another(channels ...expiry.Channel) (watch *expiry.Watch, stop func()) {
	watch = expiry.New(expiry.Options{Profiles: w, Channels: channels, Now: w.now,
		Stages: func(string) expiry.Stages { w.mu.Lock(); defer w.mu.Unlock(); return w.stages }})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { watch.Run(ctx); close(done) }()
	return watch, func() { cancel(); <-done }
}

func (w *world) now() (time.Time, time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	return now.Add(w.slept + w.step).Round(0), now.Sub(w.start) + w.slept
}

// end is when the token of a profile ends.
func (w *world) end(profile string) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.subjects[profile].ExpiresAt
}

func (w *world) looks() int { w.mu.Lock(); defer w.mu.Unlock(); return w.asked }

func (w *world) set(f func(*world)) { w.mu.Lock(); defer w.mu.Unlock(); f(w) }

// login gives a profile a new token, made now.
func (w *world) login(profile string, life time.Duration) {
	now, _ := w.now()
	w.set(func(w *world) {
		w.subjects[profile] = expiry.Subject{Profile: profile, Provider: "csp", Server: "https://csp.example", Kind: "API token",
			TokenName: "ci", RenewURL: "https://csp.example/tokens", Login: now, ExpiresAt: now.Add(life), Life: life}
	})
	if w.watch != nil {
		w.watch.Observe(ipc.Event{Type: ipc.EventLogin})
	}
}

func (w *world) change(profile string, f func(*expiry.Subject)) {
	w.set(func(w *world) { s := w.subjects[profile]; f(&s); w.subjects[profile] = s })
}

// until lets time pass until so long before the end of a profile's token.
func (w *world) until(profile string, before time.Duration) {
	w.t.Helper()
	now, _ := w.now()
	w.mu.Lock()
	d := w.subjects[profile].ExpiresAt.Sub(now) - before
	w.mu.Unlock()
	if d < 0 {
		w.t.Fatalf("it is %v too late", -d)
	}
	time.Sleep(d + time.Second)
	synctest.Wait()
}

// nap suspends the machine.
func (w *world) nap(d time.Duration) { w.set(func(w *world) { w.slept += d }) }

// settle lets the watch look twice.
func (w *world) settle() { time.Sleep(time.Minute); synctest.Wait() }

func (w *world) Subjects() ([]expiry.Subject, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []expiry.Subject
	for _, name := range slices.Sorted(maps.Keys(w.subjects)) {
		list = append(list, w.subjects[name])
	}
	return list, nil
}

func (w *world) Alone(_ context.Context, channel string) (func(), bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.telling[channel] {
		return nil, false
	}
	w.telling[channel] = true
	return func() { w.set(func(w *world) { w.telling[channel] = false }) }, true
}

func (w *world) AskDue() { w.set(func(w *world) { w.asked++ }) }

func (w *world) Remember(profile string, login time.Time, channel string, t expiry.Told) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	s, ok := w.subjects[profile]
	switch {
	case w.full:
		return errors.New("no space left on device")
	case !ok || !s.Login.Equal(login):
		return nil
	}
	told := maps.Clone(s.Told)
	if told == nil {
		told = map[string]expiry.Told{}
	}
	told[channel] = t
	s.Told = told
	w.subjects[profile] = s
	return nil
}

// channel hears, and fails on command.
type channel struct {
	name string

	mu     sync.Mutex
	heard  []string // stages; of other profiles than prod with their name; "-ref" for what was withdrawn
	refs   []string // that came along
	at     []time.Time
	fail   error
	hang   bool
	during func() // called by Announce
	tries  int
}

func (c *channel) Name() string { return c.name }

func (c *channel) Announce(ctx context.Context, w ipc.Event, ref string) (string, error) {
	c.mu.Lock()
	c.tries++
	hang, fail, during := c.hang, c.fail, c.during
	c.mu.Unlock()
	if hang {
		<-ctx.Done()
		return "", ctx.Err()
	}
	if during != nil {
		during()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if fail != nil {
		return "", fail
	}
	what := w.Stage
	if w.Profile != "prod" {
		what = w.Profile + ":" + what
	}
	c.heard, c.refs, c.at = append(c.heard, what), append(c.refs, ref), append(c.at, time.Now())
	return fmt.Sprint("ref", len(c.refs)), nil
}

func (c *channel) Withdraw(_ context.Context, ref string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard = append(c.heard, "-"+ref)
}

func (c *channel) tried() int         { c.mu.Lock(); defer c.mu.Unlock(); return c.tries }
func (c *channel) times() []time.Time { c.mu.Lock(); defer c.mu.Unlock(); return slices.Clone(c.at) }
func (c *channel) replaced() []string { c.mu.Lock(); defer c.mu.Unlock(); return slices.Clone(c.refs) }

func (c *channel) set(f func(*channel)) { c.mu.Lock(); defer c.mu.Unlock(); f(c) }

// must checks all that was heard since the last call.
func (c *channel) must(t *testing.T, want string) {
	t.Helper()
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if got := strings.Join(c.heard, " "); got != want {
		t.Errorf("%s heard %q, want %q", c.name, got, want)
	}
	c.heard = nil
}
