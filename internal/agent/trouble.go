package agent

import (
	"math/rand/v2"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
)

// trouble is what the agent remembers of the last failure of a profile, so
// that a dead API token is not hammered and callers need not wait to be told.
type trouble struct {
	class   provider.Class
	store   bool // the secret could not be read; the server was not asked
	err     *ipc.Error
	at      Instant
	count   int           // failures of this class in a row
	backoff time.Duration // how long renewal ahead waits, from at
	asked   time.Duration // how long the server asked to be left alone, from at
}

const (
	// freshPause: an explicit --fresh may try again this long after a refusal.
	freshPause = time.Minute

	refusedFirst, refusedMost     = time.Minute, time.Hour
	transientFirst, transientMost = 5 * time.Second, time.Minute

	// foregroundPause spares a failing server the calls of a tight loop, and
	// the loop's author a wait that tells nothing new.
	foregroundPause = time.Second
)

// next returns the trouble after another failure.
func (t *trouble) next(class provider.Class, e *ipc.Error, retryAfter time.Duration, now Instant) *trouble {
	if t != nil && t.permanent() && class != provider.Permanent && class != provider.PasscodeNeeded {
		// Trouble on the way to the server takes back nothing that it said.
		n := *t
		n.at = now
		return &n
	}
	retryAfter = min(retryAfter, refusedMost) // no server shuts a profile out for longer
	n := &trouble{class: class, err: e, at: now, count: 1, asked: retryAfter}
	if t != nil && t.class == class {
		n.count = t.count + 1
	}
	first, most := transientFirst, transientMost
	if class == provider.Refused {
		first, most = refusedFirst, refusedMost
	}
	n.backoff = most
	if shift := n.count - 1; shift < 12 {
		n.backoff = min(first<<shift, most)
	}
	// A tenth of jitter, upwards only: the pause is a promise.
	n.backoff += rand.N(n.backoff/10 + 1)
	n.backoff = max(n.backoff, retryAfter)
	return n
}

// permanent reports whether only a person can end the trouble.
func (t *trouble) permanent() bool {
	return !t.store && (t.class == provider.Permanent || t.class == provider.PasscodeNeeded)
}

// pause is how long, from at, a call of this kind must not go upstream.
// The second result is false if it never may.
func (t *trouble) pause(fresh, background bool) (time.Duration, bool) {
	switch {
	case t.store && background:
		return t.backoff, true
	case t.store:
		return 0, true // a person may have unlocked the store just now
	case t.permanent():
		return freshPause, fresh
	case t.class == provider.Refused && fresh:
		return freshPause, true
	case t.class == provider.Refused, background:
		return t.backoff, true
	default:
		return max(foregroundPause, t.asked), true
	}
}

// blocks returns the error that answers a call at now, or nil if the call may
// go upstream.
func (t *trouble) blocks(now Instant, fresh, background bool) *ipc.Error {
	if t == nil {
		return nil
	}
	pause, ever := t.pause(fresh, background)
	left := pause - t.at.Since(now)
	if ever && left <= 0 {
		return nil
	}
	e := *t.err
	e.Retry = 0
	if ever {
		e.Retry = seconds(left)
	}
	return &e
}

// retryAt is when renewal ahead may try again; false if never.
func (t *trouble) retryAt() (Instant, bool) {
	if t == nil {
		return Instant{}, false
	}
	pause, ever := t.pause(false, true)
	return t.at.Add(pause), ever
}

// valid reports whether the refusal can be put back in force; nil can.
func (r *Refusal) valid() bool {
	return r == nil || r.Error != nil && (r.Error.Code == ipc.CodeRefused || r.Error.Code == ipc.CodePasscodeNeeded)
}

// trouble puts a refusal that was remembered across a restart back in force.
func (r *Refusal) trouble(now Instant) *trouble {
	t := &trouble{class: provider.Permanent, err: r.Error, at: now, count: 1}
	if r.Error.Code == ipc.CodePasscodeNeeded {
		t.class = provider.PasscodeNeeded
	}
	if age := now.Wall.Sub(r.At); age > 0 {
		t.at = now.Add(-min(age, freshPause))
	}
	return t
}
