package agent

import (
	"sync"
	"time"
)

// sleep is what the agent knows of the machine's sleep.
type sleep struct {
	mu    sync.Mutex
	total time.Duration // since the start
	seen  Instant       // when awake last looked
	woke  Instant       // when the last sleep was noticed
	ever  bool          // there was one
}

const (
	// sleepNoticed is the shortest sleep that counts.
	sleepNoticed = 5 * time.Second
	// wakeSpread is the time over which renewals are spread after a resume,
	// and wakeTime how long after it renewals are.
	wakeSpread, wakeTime = 2 * time.Second, tick
)

// awake drops idle connections if the machine has slept since the last call:
// their other ends may be gone, and a request on one would hang. It returns
// the time over which renewals that are due should be spread.
func (a *Agent) awake(now Instant) time.Duration {
	// The timers behind mono stand still in suspend, and the boot clock does
	// not. On Windows neither does; but there Run has not looked for too long.
	total := a.started.Since(now) - time.Since(a.mono)
	s := &a.sleep
	s.mu.Lock() // held to the end: no exchange may overtake CloseIdle
	defer s.mu.Unlock()
	slept := total-s.total > sleepNoticed || s.seen.Since(now) > tick+sleepNoticed
	s.seen = now
	if slept {
		s.total, s.woke, s.ever = max(s.total, total), now, true
		a.Log.Info("the machine has slept; dropping idle connections")
		for _, p := range a.Providers {
			p.CloseIdle()
		}
	}
	if s.ever && s.woke.Since(now) < wakeTime {
		return wakeSpread
	}
	return 0
}
