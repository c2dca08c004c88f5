// Package autolock watches for the moments at which a machine is left: its
// screen is locked, or it goes to sleep. It hears of them from logind on the
// system bus and from the desktop's screen saver on the session bus, and has
// no way to hear of them on macOS and Windows: there, the one needs cgo, the
// other a window.
package autolock

import (
	"context"
	"log/slog"
)

// Wanted says at which moments to lock.
type Wanted struct {
	Screen bool // when the screen is locked
	Sleep  bool // before a suspend or hibernation
}

// Options are what a Watcher is made of. Log may be nil.
type Options struct {
	// Wanted returns the settings in force. Rouse says that they have changed.
	Wanted func() Wanted
	// Lock is called at such a moment. Before a sleep, that waits until Lock
	// returns, for as long as logind lets it: InhibitDelayMaxSec of
	// logind.conf(5), 5 seconds by default.
	Lock func(ctx context.Context, sleep bool)
	// System and Session are the addresses at which the buses may be; the first
	// that answers is taken.
	System, Session []string
	Log             *slog.Logger
}

// Watcher watches while Run runs.
type Watcher struct {
	o       Options
	changed []chan struct{} // one for each goroutine of Run
}

// New returns a watcher that does not run yet.
func New(o Options) *Watcher {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	w := &Watcher{o: o}
	for range 2 {
		w.changed = append(w.changed, make(chan struct{}, 1))
	}
	return w
}

// Rouse is for settings that have changed.
func (w *Watcher) Rouse() {
	for _, c := range w.changed {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}
