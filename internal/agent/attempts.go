package agent

import (
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
)

// attempts counts wrong passphrases. Each makes the next attempt wait longer;
// the wait is nobody's who does not try.
type attempts struct {
	wrong int
	last  Instant
}

const (
	firstWait, mostWait = 500 * time.Millisecond, 30 * time.Second
	// attemptsKept is how long after the last one wrong passphrases are forgotten.
	attemptsKept = 15 * time.Minute
)

// pause is how long after the last wrong passphrase nothing is tried.
func (t *attempts) pause() time.Duration {
	if t.wrong == 0 {
		return 0
	}
	return min(firstWait<<min(t.wrong-1, 10), mostWait)
}

func (t *attempts) forget() { *t = attempts{} }

// add counts a wrong passphrase, and returns how many there were and how long
// nothing is tried.
func (t *attempts) add(now Instant) (n int, pause time.Duration) {
	t.wrong, t.last = t.wrong+1, now
	return t.wrong, t.pause()
}

// refuses returns the answer to an attempt that comes too soon; nil for others.
func (t *attempts) refuses(now Instant) *ipc.Error {
	since := t.last.Since(now)
	if t.wrong > 0 && since >= attemptsKept {
		t.forget()
	}
	left := t.pause() - since
	if t.wrong == 0 || left <= 0 {
		return nil
	}
	e := errorf(ipc.CodeRateLimited, waitFor(left)+", then: cspctl unlock", "too many wrong passphrases: nothing was tried")
	e.Retry = seconds(left)
	return e
}

// waitFor says how long to wait, in whole seconds.
func waitFor(d time.Duration) string {
	if n := seconds(d); n != 1 {
		return "wait " + (time.Duration(n) * time.Second).String()
	}
	return "wait a second"
}
