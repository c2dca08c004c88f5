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
	// profile returned, also in an earlier life of the agent: the new message
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
}
