package main

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/ipc/listen"
	"github.com/cspctl/cspctl/internal/metrics"
)

// refusals returns what hears of peers that were turned away: it counts and
// logs them.
func refusals(log *slog.Logger, m *metrics.Metrics) func(listen.Peer, error) {
	var l refusalLog
	return func(p listen.Peer, err error) {
		l.report(log, p, err)
		switch {
		case errors.Is(err, listen.ErrNotAllowed):
			m.Refused(p.UID, ipc.RefusedPeer)
		case errors.Is(err, listen.ErrBusy):
			m.Refused(p.UID, ipc.RefusedBusy)
		default:
			m.Refused(p.UID, ipc.RefusedUnknown)
		}
	}
}

// refusalLog reports peers that were turned away, each uid at most once a
// minute, so that nobody can fill the journal.
type refusalLog struct {
	mu   sync.Mutex
	last map[uint32]time.Time
}

func (r *refusalLog) report(log *slog.Logger, p listen.Peer, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if now.Sub(r.last[p.UID]) < time.Minute {
		return
	}
	if r.last == nil || len(r.last) > 1000 {
		r.last = map[uint32]time.Time{}
	}
	r.last[p.UID] = now
	log.Warn("refused a connection", "uid", p.UID, "pid", p.PID, "err", err)
}
