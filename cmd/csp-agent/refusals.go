package main

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/cspctl/cspctl/internal/agent/api"
	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/ipc/listen"
	"github.com/cspctl/cspctl/internal/metrics"
)

// refusals returns what hears of peers that were turned away: it counts them and
// puts them on record, in the log where nobody knows who they are.
func refusals(log *slog.Logger, m *metrics.Metrics, audit *api.Audit) func(listen.Peer, error) {
	var unknown refusalLog
	return func(p listen.Peer, err error) {
		switch {
		case errors.Is(err, listen.ErrNotAllowed):
			m.Refused(p.UID, ipc.RefusedPeer)
			audit.Refused(p, err)
		case errors.Is(err, listen.ErrBusy):
			m.Refused(p.UID, ipc.RefusedBusy)
			audit.Refused(p, err)
		default:
			m.Refused(p.UID, ipc.RefusedUnknown)
			unknown.report(log, err)
		}
	}
}

// refusalLog reports peers that the kernel does not name, at most once a minute,
// so that nobody can fill the journal.
type refusalLog struct {
	mu   sync.Mutex
	last time.Time
}

func (r *refusalLog) report(log *slog.Logger, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); now.Sub(r.last) >= time.Minute {
		r.last = now
		log.Warn("refused a connection", "err", err)
	}
}
