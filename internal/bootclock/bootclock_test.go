package bootclock_test

import (
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/bootclock"
)

func TestTheBootClockRunsWithTheMonotonicOne(t *testing.T) {
	a, mono := bootclock.Clock{}.Now(), time.Now()
	for time.Since(mono) < 20*time.Millisecond {
	}
	b, elapsed := bootclock.Clock{}.Now(), time.Since(mono)
	if d := b.Boot - a.Boot; d < 15*time.Millisecond || d > elapsed+time.Second {
		t.Errorf("%v passed on the boot clock, %v on the monotonic one", d, elapsed)
	}
	if a.Boot <= 0 || time.Since(a.Wall) > time.Minute {
		t.Errorf("got %v", a)
	}
}
