// Package bootclock tells the time since boot with the time in suspend, which
// Go's own monotonic clock leaves out on most systems.
package bootclock

import (
	"time"

	"github.com/cspctl/cspctl/internal/agent"
)

// Clock is the machine's wall clock and boot clock. The zero value is ready.
type Clock struct{}

// Now implements agent.Clock.
func (Clock) Now() agent.Instant {
	return agent.Instant{Wall: time.Now().Round(0), Boot: sinceBoot()}
}
