package expiry

import (
	"context"
	"errors"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
)

// Channel is a way to tell a person: the desktop, a command of theirs. The
// Watch calls it from one goroutine at a time.
type Channel interface {
	// Name is the key under which the state remembers what the channel was
	// last told: "desktop", "hook". It never changes.
	Name() string
	// Announce tells of a warning (an ipc.EventWarning), and returns when it
	// was delivered or can't be. ref is what the last Announce about the same
	// secret returned, also in an earlier life of the agent: the new message
	// takes the place of that one. Its error is ErrNobody where nobody is
	// there to be told now; it is tried again. Another error is tried again,
	// too, but not for ever.
	Announce(ctx context.Context, w ipc.Event, ref string) (newRef string, err error)
	// Withdraw takes back what an Announce said that returned ref: it no
	// longer holds.
	Withdraw(ctx context.Context, ref string)
}

// ErrNobody is returned by a Channel on which nobody listens now: no desktop
// has started yet.
var ErrNobody = errors.New("nobody is there to be told")

// Told is what a channel was last told about the secret of a profile. It is
// part of the state file.
type Told struct {
	Stage string    `json:"stage"`
	At    time.Time `json:"at"`
	Ref   string    `json:"ref,omitempty"` // the channel's own name for the message
	// Until: the person asked to be left alone until then.
	Until time.Time `json:"snoozed_until,omitzero"`
	// Earlier is the stage before the end that was told before a Stage which is
	// none: it counts again where the server takes a refusal back.
	Earlier string `json:"earlier_stage,omitempty"`
}

// next is what a channel was told once it has heard of a stage.
func (t Told) next(stage string, now time.Time, ref string) Told {
	n := Told{Stage: stage, At: now.UTC().Truncate(time.Second), Ref: ref}
	if _, timed := before(stage); !timed {
		n.Earlier = t.Earlier
		if _, timed := before(t.Stage); timed && t.Stage != "" {
			n.Earlier = t.Stage
		}
	}
	return n
}

// slack is how much later than told a stage may turn out to begin before what
// was told counts as wrong: clocks are stepped by a little all the time.
func (t Told) slack() time.Duration {
	b, _ := before(t.Stage)
	return max(time.Hour, b/10)
}

// verdict is what is to be done about a channel.
type verdict int

const (
	leave verdict = iota
	announce
	withdraw // it no longer holds
)

// due compares what a channel was told with the stage that the secret has
// reached.
func (t Told) due(s Subject, stage string, now time.Time) verdict {
	toldBefore, timed := before(t.Stage)
	reached, inTime := before(stage)
	switch {
	case t.Stage == "" && stage == "":
		return leave
	case t.Stage == "":
		return announce
	case timed && (s.ExpiresAt.IsZero() || s.ExpiresAt.Sub(now) > toldBefore+t.slack()):
		// The end is further away than was told, as after a clock was wrong.
		return withdraw
	case stage == "", !timed && inTime && reached > 0:
		return withdraw // it is refused no more
	case !timed: // dead is dead, and told
		return t.again(stage, now)
	case !inTime, reached < toldBefore:
		if t.snoozed(stage, now) {
			return leave
		}
		return announce
	}
	return t.again(stage, now)
}

// again reports whether a person who asked to be reminded is to be.
func (t Told) again(stage string, now time.Time) verdict {
	if t.Until.IsZero() || t.snoozed(stage, now) {
		return leave
	}
	return announce
}

// snoozed reports whether a person asked to be left alone, and nothing is so
// urgent that it breaks through: a token that dies within the hour, or is dead.
func (t Told) snoozed(stage string, now time.Time) bool {
	if b, ok := before(stage); (!ok || b <= time.Hour) && stage != t.Stage {
		return false
	}
	return now.Before(t.Until) && t.Until.Sub(now) <= snoozeTime
}

// snoozeTime is how long a person is left alone who asked for it.
const snoozeTime = day
