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
)

// tellers are the parts that tell people and programs of what happens.
type tellers struct {
	events *api.Events
	watch  atomic.Pointer[expiry.Watch] // nil until there is an agent to watch
}

func newTellers() *tellers { return &tellers{events: api.NewEvents()} }

// publish passes an event on. It waits for nobody.
func (t *tellers) publish(e ipc.Event) {
	t.events.Publish(e)
	if w := t.watch.Load(); w != nil {
		w.Observe(e)
	}
}

// watchOver makes the watch over the API tokens of an agent.
func (t *tellers) watchOver(a *agent.Agent, s *settings, log *slog.Logger) {
	wall := func() time.Time { return bootclock.Clock{}.Now().Wall }
	t.watch.Store(expiry.New(expiry.Options{
		Profiles: a,
		Channels: []expiry.Channel{expiry.Journal{Log: log, Publish: t.publish, Now: wall}},
		Stages:   s.stages,
		Now:      func() (time.Time, time.Duration) { i := bootclock.Clock{}.Now(); return i.Wall, i.Boot },
		Log:      log,
	}))
}

// run watches until ctx ends.
func (t *tellers) run(ctx context.Context) { t.watch.Load().Run(ctx) }

// rouse is for settings that have changed.
func (t *tellers) rouse() { t.watch.Load().Rouse() }

// close ends what would keep the agent from ending.
func (t *tellers) close() { t.events.Close() }
