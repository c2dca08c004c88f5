package expiry

import "time"

// steady tells whether the wall clock can be believed. One that was stepped may
// be stepped again soon, and one that is behind what is on record has not been
// set yet, as on a machine without a battery for it; but not for ever, since it
// may be the record that is wrong.
type steady struct {
	ever    bool
	wall    time.Time
	boot    time.Duration
	doubted time.Duration // boot time until which it can't
}

// settled reports whether the wall clock has gone as time goes of late. latest
// is the latest time on record.
func (s *steady) settled(wall time.Time, boot time.Duration, latest time.Time) bool {
	step := latest.Sub(wall)
	if s.ever {
		step = (wall.Sub(s.wall) - (boot - s.boot)).Abs()
	}
	if step > stepNoticed {
		s.doubted = boot + settleTime
	}
	s.ever, s.wall, s.boot = true, wall, boot
	return boot >= s.doubted
}

// latest is the latest time on record of what is known and was told.
func latest(list []Subject) time.Time {
	var t time.Time
	for _, s := range list {
		for _, at := range []time.Time{s.Login, s.CheckedAt} {
			if at.After(t) {
				t = at
			}
		}
		for _, told := range s.Told {
			if told.At.After(t) {
				t = told.At
			}
		}
	}
	return t
}
