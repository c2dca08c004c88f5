package expiry

import (
	"context"
	"log/slog"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
)

// Journal is the channel of those who read: each warning becomes a line of the
// log and an event.
type Journal struct {
	Log     *slog.Logger
	Publish func(ipc.Event)
	Now     func() time.Time
}

// Name implements Channel.
func (Journal) Name() string { return "log" }

// Announce implements Channel.
func (j Journal) Announce(_ context.Context, w ipc.Event, _ string) (string, error) {
	j.Log.Warn(w.Message, "profile", w.Profile, "stage", w.Stage)
	j.Publish(w)
	return w.Profile, nil
}

// Withdraw implements Channel.
func (j Journal) Withdraw(_ context.Context, ref string) {
	j.Publish(ipc.Event{Schema: ipc.EventSchema, Type: ipc.EventCleared, Time: j.Now().UTC().Truncate(time.Second), Profile: ref})
}
