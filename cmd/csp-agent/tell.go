package main

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/cspctl/cspctl/internal/agent"
	"github.com/cspctl/cspctl/internal/agent/api"
	"github.com/cspctl/cspctl/internal/agent/expiry"
	"github.com/cspctl/cspctl/internal/bootclock"
	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/metrics"
	"github.com/cspctl/cspctl/internal/notify"
)

// tellers are the parts that tell people and programs of what happens.
type tellers struct {
	counted *metrics.Metrics
	events  *api.Events
	watch   atomic.Pointer[expiry.Watch] // nil until there is an agent to watch
	desktop *notify.Desktop
}

func newTellers(counted *metrics.Metrics) *tellers {
	return &tellers{counted: counted, events: api.NewEvents()}
}

// publish passes an event on. It waits for nobody.
func (t *tellers) publish(e ipc.Event) {
	t.counted.Observe(e)
	t.events.Publish(e)
	if w := t.watch.Load(); w != nil {
		w.Observe(e)
	}
}

// watchOver makes the watch over the API tokens of an agent.
func (t *tellers) watchOver(a *agent.Agent, s *settings, log *slog.Logger) {
	now := bootclock.Clock{}.Now
	t.desktop = notify.NewDesktop(notify.Options{
		Snooze: func(profile string) { t.watch.Load().Snooze(t.desktop.Name(), profile) },
		Ready:  func() { t.watch.Load().Rouse() },
		Log:    log,
	})
	journal := expiry.Journal{Log: log, Publish: t.publish, Now: func() time.Time { return now().Wall }}
	t.watch.Store(expiry.New(expiry.Options{
		Profiles: a,
		Channels: []expiry.Channel{journal, t.desktop},
		Stages:   s.stages,
		Wanted: func(channel, profile string) bool {
			return channel != t.desktop.Name() || s.desktop(profile)
		},
		Now: func() (time.Time, time.Duration) { i := now(); return i.Wall, i.Boot },
		Log: log,
	}))
}

// run watches until ctx ends.
func (t *tellers) run(ctx context.Context) { t.watch.Load().Run(ctx) }

// rouse is for settings that have changed.
func (t *tellers) rouse() { t.watch.Load().Rouse() }

// close ends what would keep the agent from ending.
func (t *tellers) close() {
	t.events.Close()
	t.desktop.Close()
}
