//go:build unix && !darwin

package autolock_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/cspctl/cspctl/internal/autolock"
	"github.com/cspctl/cspctl/internal/sessionbus/bustest"
)

// left is a Watcher that runs, and the locks that it has asked for.
type left struct {
	*autolock.Watcher
	t      *testing.T
	wanted atomic.Pointer[autolock.Wanted]
	locks  chan bool // true before a sleep
	during atomic.Pointer[func()]
}

func watch(t *testing.T, system, session *bustest.Bus, wanted autolock.Wanted) *left {
	t.Helper()
	w := &left{t: t, locks: make(chan bool, 16)}
	w.wanted.Store(&wanted)
	w.Watcher = autolock.New(autolock.Options{
		Wanted: func() autolock.Wanted { return *w.wanted.Load() },
		Lock: func(_ context.Context, sleep bool) {
			if f := w.during.Load(); f != nil {
				(*f)()
			}
			w.locks <- sleep
		},
		System: []string{system.Address}, Session: []string{session.Address},
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { w.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	return w
}

const patience = 20 * time.Second

func (w *left) mustLock(sleep bool) {
	w.t.Helper()
	select {
	case got := <-w.locks:
		if got != sleep {
			w.t.Errorf("a lock before a sleep: %v", got)
		}
	case <-time.After(patience):
		w.t.Fatal("nothing was locked")
	}
}

func (w *left) mustNotHaveLocked() {
	w.t.Helper()
	select {
	case <-w.locks:
		w.t.Error("it was locked")
	default:
	}
}

// until says something again until the watcher, which connects when it does,
// has heard it.
func (w *left) until(say func()) {
	w.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		say()
		select {
		case <-w.locks:
			time.Sleep(50 * time.Millisecond)
			for len(w.locks) > 0 {
				<-w.locks
			}
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
	w.t.Fatal("nothing was locked")
}

func TestScreenOfASessionIsLocked(t *testing.T) {
	system, session := bustest.StartBus(t), bustest.StartBus(t)
	l := startLogind(t, system)
	w := watch(t, system, session, autolock.Wanted{Screen: true})
	w.until(func() { l.emit(ownSession, login1+".Session.Lock") })
	// Neither of these, and a signal behind them shows that they were seen.
	l.emit(elsesOne, login1+".Session.Lock")
	l.emit(ownSession, login1+".Session.Unlock")
	l.hinted(elsesOne, true)
	l.hinted(ownSession, false)
	l.prepareForSleep(true)
	// Nor what anybody else on the bus says in its name.
	stranger := system.Connect(t)
	if err := stranger.Emit(ownSession, login1+".Session.Lock"); err != nil {
		t.Fatal(err)
	}
	l.hinted(ownSession, true)
	w.mustLock(false)
	l.hinted(ownSession, true)
	w.mustLock(false)
	w.mustNotHaveLocked()
}

// The machine sleeps when the lock is complete, and not before.
func TestSleepWaitsForTheLock(t *testing.T) {
	system, session := bustest.StartBus(t), bustest.StartBus(t)
	l := startLogind(t, system)
	w := watch(t, system, session, autolock.Wanted{Sleep: true})
	for range 2 {
		<-l.took
		end := l.last()
		during := func() {
			if !isHeld(end, 50*time.Millisecond) {
				t.Error("the machine may sleep before the lock is complete")
			}
		}
		w.during.Store(&during)
		l.prepareForSleep(true)
		w.mustLock(true)
		if isHeld(end, patience) {
			t.Error("the machine may not sleep")
		}
		l.prepareForSleep(false) // it takes another
	}
	<-l.took
	l.emit(ownSession, login1+".Session.Lock") // is not asked for
	w.during.Store(nil)
	l.prepareForSleep(true)
	w.mustLock(true)
	w.mustNotHaveLocked()
}

func TestScreenSaverBecomesActive(t *testing.T) {
	for _, name := range []string{"org.freedesktop.ScreenSaver", "org.gnome.ScreenSaver"} {
		t.Run(name, func(t *testing.T) {
			system, session := bustest.StartBus(t), bustest.StartBus(t)
			conn := session.Connect(t)
			if _, err := conn.RequestName(name, dbus.NameFlagDoNotQueue); err != nil {
				t.Fatal(err)
			}
			active := func(on bool) {
				if err := conn.Emit("/ScreenSaver", name+".ActiveChanged", on); err != nil {
					t.Fatal(err)
				}
			}
			w := watch(t, system, session, autolock.Wanted{Screen: true})
			w.until(func() { active(true) })
			active(false)
			active(true)
			w.mustLock(false)
			w.mustNotHaveLocked()
		})
	}
}

// A bus that was restarted, and a logind that was: it hears of them again, and
// of a lock that it missed.
func TestBusesThatRestart(t *testing.T) {
	system, session := bustest.StartBus(t), bustest.StartBus(t)
	l := startLogind(t, system)
	w := watch(t, system, session, autolock.Wanted{Screen: true, Sleep: true})
	<-l.took
	system.Restart(t)
	l = startLogind(t, system)
	l.mu.Lock()
	l.hint = true
	l.mu.Unlock()
	w.mustLock(false)
	<-l.took
	l.prepareForSleep(true)
	w.mustLock(true)
	l.conn.Close() // logind alone
	l = startLogind(t, system)
	<-l.took
	l.emit(ownSession, login1+".Session.Lock")
	w.mustLock(false)
}

// Settings change at a SIGHUP.
func TestSettingsChange(t *testing.T) {
	system, session := bustest.StartBus(t), bustest.StartBus(t)
	l := startLogind(t, system)
	w := watch(t, system, session, autolock.Wanted{})
	set := func(s autolock.Wanted) { w.wanted.Store(&s); w.Rouse() }
	set(autolock.Wanted{Sleep: true})
	<-l.took
	set(autolock.Wanted{Screen: true})
	w.until(func() { l.emit(ownSession, login1+".Session.Lock") })
	set(autolock.Wanted{Screen: true, Sleep: true})
	<-l.took
	l.prepareForSleep(true)
	w.mustLock(true)
	set(autolock.Wanted{})
}
