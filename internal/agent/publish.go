package agent

import (
	"errors"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
)

// publish tells of something that happened to a profile.
func (a *Agent) publish(rec Record, e ipc.Event) {
	e.Schema, e.Time = ipc.EventSchema, a.Clock.Now().Wall.UTC().Truncate(time.Second)
	e.Profile, e.Provider, e.Server, e.Org = rec.account.name, rec.Provider, rec.Origin, rec.Org
	a.Publish(e)
}

// exchanged tells of an exchange: of what it brought, or of its error.
func (a *Agent) exchanged(rec Record, e *entry, err error, ahead bool) {
	event := ipc.Event{Type: ipc.EventExchange, Outcome: ipc.OutcomeGranted, Ahead: ahead}
	switch {
	case err != nil:
		wire := wireError(err, rec.account.name)
		event.Outcome, event.Code, event.Message = outcome(err), wire.Code, wire.Message
	case !e.unknown:
		now := a.Clock.Now()
		event.ExpiresAt = now.Wall.Add(e.left(now)).UTC().Truncate(time.Second)
	}
	a.publish(rec, event)
}

// outcome names a failed exchange for those who count them.
func outcome(err error) string {
	if _, ok := errors.AsType[*storeFailure](err); ok {
		return ipc.OutcomeStore
	}
	if e, ok := provider.AsError(err); ok && e.Class != provider.Transient && e.Class != provider.WrongServer {
		return ipc.OutcomeRefused
	}
	return ipc.OutcomeFailed
}
