package agent_test

import (
	"sync"
	"time"

	"github.com/cspctl/cspctl/internal/agent"
)

// clock is the time of a synctest bubble on two clocks, with a machine that
// can be suspended and a wall clock that can be stepped.
type clock struct {
	start        time.Time
	mu           sync.Mutex
	slept        time.Duration
	step         time.Duration
	reads        int
	frozen, held chan struct{}
}

func newClock() *clock { return &clock{start: time.Now()} }

func (c *clock) Now() agent.Instant {
	c.mu.Lock()
	wait := c.frozen
	if c.held != nil {
		wait, c.held = c.held, nil
	}
	if wait != nil {
		c.mu.Unlock()
		<-wait
		c.mu.Lock()
	}
	defer c.mu.Unlock()
	c.reads++
	now := time.Now()
	return agent.Instant{Wall: now.Add(c.slept + c.step).Round(0), Boot: now.Sub(c.start) + c.slept}
}

// readings is how often the clock was read.
func (c *clock) readings() int { c.mu.Lock(); defer c.mu.Unlock(); return c.reads }

// suspend lets time pass on both clocks, and none for timers.
func (c *clock) suspend(d time.Duration) { c.mu.Lock(); c.slept += d; c.mu.Unlock() }

// stepWall sets the wall clock by d.
func (c *clock) stepWall(d time.Duration) { c.mu.Lock(); c.step += d; c.mu.Unlock() }

// freeze stops whoever reads the clock until thaw is called, as a suspend does
// on a system whose timers run on in it.
func (c *clock) freeze() (thaw func()) {
	frozen := make(chan struct{})
	set := func(to chan struct{}) { c.mu.Lock(); c.frozen = to; c.mu.Unlock() }
	set(frozen)
	return func() { set(nil); close(frozen) }
}

// hold makes the next one who reads the clock wait until release is called.
func (c *clock) hold() (release func()) {
	held := make(chan struct{})
	c.mu.Lock()
	c.held = held
	c.mu.Unlock()
	return func() { close(held) }
}
