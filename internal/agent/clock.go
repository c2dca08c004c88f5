package agent

import "time"

// Instant is one moment on two clocks. Neither alone can be trusted with an
// expiry: the wall clock is stepped, and the monotonic clock behind Go's
// timers stands still while the machine is suspended. A token is expired as
// soon as either clock says so.
type Instant struct {
	Wall time.Time     // the wall clock, without a monotonic reading
	Boot time.Duration // since boot, suspend included: CLOCK_BOOTTIME or its like
}

// Add returns the instant d later on both clocks.
func (i Instant) Add(d time.Duration) Instant {
	return Instant{i.Wall.Add(d), i.Boot + d}
}

// Until returns the time left from now to i: what the more pessimistic of the
// two clocks says.
func (i Instant) Until(now Instant) time.Duration {
	return min(i.Wall.Sub(now.Wall), i.Boot-now.Boot)
}

// Since returns the time from i to now by the clock that nobody steps.
func (i Instant) Since(now Instant) time.Duration { return now.Boot - i.Boot }

// Clock tells the time on both clocks.
type Clock interface {
	Now() Instant
}
