package main

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/cspctl/cspctl/internal/agent"
	"github.com/cspctl/cspctl/internal/autolock"
	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/sink"
)

// autoLockTime bounds a lock that nobody asked for; a suspend may wait for it.
const autoLockTime = 3 * time.Second

// newAutoLock watches for moments at which the settings want the agent locked.
func newAutoLock(a *agent.Agent, sinks *sink.Sinks, s *settings, log *slog.Logger) *autolock.Watcher {
	return autolock.New(autolock.Options{
		Wanted: func() autolock.Wanted {
			l := s.now().Lock
			return autolock.Wanted{Screen: l.OnScreenLock, Sleep: l.BeforeSleep}
		},
		Lock: func(ctx context.Context, sleep bool) {
			ctx, cancel := context.WithTimeout(ctx, autoLockTime)
			defer cancel()
			why := ipc.LockScreen
			if sleep {
				why = ipc.LockSleep
			}
			a.AutoLock(ctx, why)
			sinks.Settle(ctx) // it is an open agent's where no passphrase locks it
		},
		System: autolock.SystemAddresses(os.Getenv), Session: autolock.SessionAddresses(os.Getenv),
		Log: log,
	})
}
