package bootclock

import (
	"time"

	"golang.org/x/sys/unix"
)

// sinceBoot reads CLOCK_MONOTONIC, which on macOS goes on in sleep
// (mach_continuous_time).
func sinceBoot() time.Duration {
	const clockMonotonic = 6 // _CLOCK_MONOTONIC in <time.h>
	var t unix.Timespec
	if err := unix.ClockGettime(clockMonotonic, &t); err != nil {
		panic(err)
	}
	return time.Duration(t.Nano())
}
