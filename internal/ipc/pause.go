package ipc

import "time"

// pause waits a little longer each time, from 2 to 50 ms.
type pause struct{ next time.Duration }

// until waits, and reports whether the deadline is still ahead.
func (p *pause) until(deadline time.Time) bool {
	p.next = min(max(2*p.next, 2*time.Millisecond), 50*time.Millisecond)
	left := time.Until(deadline)
	if left <= 0 {
		return false
	}
	time.Sleep(min(p.next, left))
	return true
}
