package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cspctl/cspctl/internal/agent"
	"github.com/cspctl/cspctl/internal/agent/api"
	"github.com/cspctl/cspctl/internal/agent/expiry"
	"github.com/cspctl/cspctl/internal/bootclock"
	"github.com/cspctl/cspctl/internal/harden"
	"github.com/cspctl/cspctl/internal/hook"
	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/launch"
	"github.com/cspctl/cspctl/internal/metrics"
	"github.com/cspctl/cspctl/internal/notify"
)

// tellers are the parts that tell people and programs of what happens.
type tellers struct {
	counted *metrics.Metrics
	events  *api.Events
	watch   atomic.Pointer[expiry.Watch] // nil until there is an agent to watch
	desktop *notify.Desktop              // nil: the system service has none
	hook    *hook.Hook
}

func newTellers(counted *metrics.Metrics, s *settings, log *slog.Logger) *tellers {
	programs := launch.New(launch.Options{Umask: harden.Umask(), Log: log})
	t := &tellers{counted: counted, events: api.NewEvents()}
	t.hook = hook.New(hook.Options{Settings: s.hook, Runner: programs, Log: log})
	if s.system {
		return t
	}
	t.desktop = notify.NewDesktop(notify.Options{
		Open: func(ctx context.Context, page string) error {
			err := programs.Open(ctx, page)
			if errors.Is(err, launch.ErrDismissed) {
				return nil // a person thought better of it
			}
			return err
		},
		Snooze: func(profile string) { t.watch.Load().Snooze(t.desktop.Name(), profile) },
		Ready:  func() { t.watch.Load().Rouse() },
		Log:    log,
	})
	return t
}

// publish passes an event on. It waits for nobody.
func (t *tellers) publish(e ipc.Event) {
	t.counted.Observe(e)
	t.events.Publish(e)
	t.hook.Publish(e)
	if w := t.watch.Load(); w != nil {
		w.Observe(e)
	}
}

// watchOver makes the watch over the API tokens of an agent.
func (t *tellers) watchOver(a *agent.Agent, s *settings, log *slog.Logger) {
	now := bootclock.Clock{}.Now
	journal := expiry.Journal{Log: log, Publish: t.publish, Now: func() time.Time { return now().Wall }}
	channels := []expiry.Channel{journal, t.hook}
	if t.desktop != nil {
		channels = append(channels, t.desktop)
	}
	t.watch.Store(expiry.New(expiry.Options{
		Profiles: a,
		Channels: channels,
		Stages:   s.stages,
		Wanted: func(channel, profile string) bool {
			return t.desktop == nil || channel != t.desktop.Name() || s.desktop(profile)
		},
		Now: func() (time.Time, time.Duration) { i := now(); return i.Wall, i.Boot },
		Log: log,
	}))
}

// run watches until ctx ends.
func (t *tellers) run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { t.hook.Run(ctx) })
	t.watch.Load().Run(ctx)
	wg.Wait()
}

// rouse is for settings that have changed.
func (t *tellers) rouse() { t.watch.Load().Rouse() }

// close ends what would keep the agent from ending.
func (t *tellers) close() {
	t.events.Close()
	if t.desktop != nil {
		t.desktop.Close()
	}
}
