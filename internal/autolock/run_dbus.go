//go:build unix && !darwin

package autolock

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/cspctl/cspctl/internal/sessionbus"
)

// Supported reports whether this system tells of such moments.
const Supported = true

const (
	// dialTime bounds the connecting to a bus, callTime one call over it.
	dialTime, callTime = 5 * time.Second, 2 * time.Second
	// firstPause and mostPause are how long it waits before it connects again.
	firstPause, mostPause = time.Second, time.Minute
)

// SystemAddresses returns the addresses of the system bus.
// https://dbus.freedesktop.org/doc/dbus-specification.html#message-bus-types-system
func SystemAddresses(getenv func(string) string) []string {
	if a := getenv("DBUS_SYSTEM_BUS_ADDRESS"); a != "" {
		return []string{a}
	}
	return []string{"unix:path=/run/dbus/system_bus_socket", "unix:path=/var/run/dbus/system_bus_socket"}
}

// SessionAddresses returns the addresses of the session bus.
func SessionAddresses(getenv func(string) string) []string {
	return sessionbus.Addresses(getenv, os.Getuid())
}

// Run watches until ctx ends. A bus that is not there, or goes away, is tried
// again.
func (w *Watcher) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for i, b := range []bus{
		{"system", w.o.System, logindRules, func(s Wanted) bool { return s.Screen || s.Sleep }, w.logind},
		{"session", w.o.Session, screenSaverRules, func(s Wanted) bool { return s.Screen }, w.screenSavers},
	} {
		wg.Go(func() { w.watch(ctx, b, w.changed[i]) })
	}
	wg.Wait()
}

// bus is one of the two, and what is listened for on it.
type bus struct {
	name      string
	addresses []string
	rules     []string
	wanted    func(Wanted) bool
	// listen handles signals until the connection breaks, or nothing of the
	// bus is wanted any more. again says that an earlier connection broke.
	listen func(ctx context.Context, l *link, again bool)
}

// link is one connection.
type link struct {
	*dbus.Conn
	signals chan *dbus.Signal
	changed <-chan struct{}
}

// inbox is godbus's handler of signals; its own starts a goroutine for each
// that finds the channel full.
type inbox chan *dbus.Signal

// DeliverSignal implements dbus.SignalHandler. One lock says as much as many.
func (in inbox) DeliverSignal(_, _ string, s *dbus.Signal) {
	select {
	case in <- s:
	default:
	}
}

func (w *Watcher) watch(ctx context.Context, b bus, changed <-chan struct{}) {
	pause, said, again := firstPause, "", false
	for ctx.Err() == nil {
		if !b.wanted(w.o.Wanted()) {
			pause, said, again = firstPause, "", false
			select {
			case <-changed:
			case <-ctx.Done():
			}
			continue
		}
		err := w.connected(ctx, b, changed, func(l *link) {
			w.o.Log.Debug("watching for locks", "bus", b.name)
			pause, said = firstPause, ""
			b.listen(ctx, l, again)
			again = true
		})
		if err != nil && err.Error() != said {
			said = err.Error()
			w.o.Log.Warn("a locked screen or a sleep will not be noticed: the bus can't be used", "bus", b.name, "err", err)
		}
		if ctx.Err() != nil || !b.wanted(w.o.Wanted()) {
			continue
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-changed:
		case <-ctx.Done():
		}
		timer.Stop()
		pause = min(2*pause, mostPause)
	}
}

// connected calls f with a connection that hears of the signals of b.
func (w *Watcher) connected(ctx context.Context, b bus, changed <-chan struct{}, f func(*link)) error {
	life, end := context.WithCancel(ctx)
	defer end()
	l := &link{signals: make(chan *dbus.Signal, 64), changed: changed}
	dialled := time.AfterFunc(dialTime, end)
	conn, _, err := sessionbus.Dial(life, b.addresses, dbus.WithSignalHandler(inbox(l.signals)))
	if err != nil {
		return err
	}
	defer conn.Close()
	l.Conn = conn
	for _, rule := range b.rules {
		if err := conn.BusObject().CallWithContext(life, "org.freedesktop.DBus.AddMatch", 0, rule).Err; err != nil {
			return err
		}
	}
	if !dialled.Stop() {
		return errors.New("it does not answer")
	}
	f(l)
	return nil
}

// call calls a method of a service that runs, and starts none.
func (l *link) call(ctx context.Context, name string, path dbus.ObjectPath, method string, args ...any) *dbus.Call {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return l.Object(name, path).CallWithContext(ctx, method, dbus.FlagNoAutoStart, args...)
}

// property reads one into value.
func (l *link) property(ctx context.Context, name string, path dbus.ObjectPath, iface, property string, value any) error {
	var v dbus.Variant
	if err := l.call(ctx, name, path, "org.freedesktop.DBus.Properties.Get", iface, property).Store(&v); err != nil {
		return err
	}
	return v.Store(value)
}
