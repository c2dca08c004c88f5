//go:build unix && !darwin

package autolock

import (
	"context"
	"os"

	"github.com/godbus/dbus/v5"
)

// org.freedesktop.login1(5)
const (
	login1      = "org.freedesktop.login1"
	manager     = login1 + ".Manager"
	session     = login1 + ".Session"
	managerPath = "/org/freedesktop/login1"
	ownerSignal = "org.freedesktop.DBus.NameOwnerChanged"
	properties  = "org.freedesktop.DBus.Properties.PropertiesChanged"
)

var logindRules = []string{
	"type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='" + login1 + "'",
	"type='signal',sender='" + login1 + "',interface='" + manager + "',member='PrepareForSleep'",
	"type='signal',sender='" + login1 + "',interface='" + session + "',member='Lock'",
	"type='signal',sender='" + login1 + "',interface='org.freedesktop.DBus.Properties',member='PropertiesChanged',arg0='" + session + "'",
}

// logind locks when a session of the user's is told to lock or says that it
// is, and before a sleep, which it holds up for that.
func (w *Watcher) logind(ctx context.Context, l *link, again bool) {
	var owner string // others can send us signals, too
	_ = l.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.GetNameOwner", 0, login1).Store(&owner)
	var held *os.File
	hold := func() {
		if held == nil && owner != "" && w.o.Wanted().Sleep {
			held = w.inhibit(ctx, l)
		}
	}
	release := func() {
		if held != nil {
			_ = held.Close()
			held = nil
		}
	}
	defer release()
	hold()
	if again && w.o.Wanted().Screen && l.anyLocked(ctx) {
		w.o.Lock(ctx, false)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.Context().Done():
			return
		case <-l.changed:
			switch now := w.o.Wanted(); {
			case !now.Screen && !now.Sleep:
				return
			case now.Sleep:
				hold()
			default:
				release()
			}
		case s := <-l.signals:
			switch {
			case s.Name == ownerSignal && s.Sender == "org.freedesktop.DBus" && len(s.Body) == 3 && s.Body[0] == login1:
				release() // it is gone with the old one
				owner, _ = s.Body[2].(string)
				hold()
			case s.Sender != owner:
			case s.Name == manager+".PrepareForSleep" && len(s.Body) == 1:
				if begins, _ := s.Body[0].(bool); !begins {
					hold()
				} else if w.o.Wanted().Sleep {
					w.o.Lock(ctx, true)
					release()
				}
			case w.o.Wanted().Screen && saysLocked(s) && l.own(ctx, s.Path):
				w.o.Lock(ctx, false)
			}
		}
	}
}

// saysLocked reports whether a signal of a session says that its screen is to
// be locked, or is.
func saysLocked(s *dbus.Signal) bool {
	if s.Name == session+".Lock" {
		return true
	}
	if s.Name != properties || len(s.Body) < 2 || s.Body[0] != session {
		return false
	}
	all, _ := s.Body[1].(map[string]dbus.Variant)
	hint, _ := all["LockedHint"].Value().(bool)
	return hint
}

// inhibit has logind wait before a sleep until the file is closed.
// https://systemd.io/INHIBITOR_LOCKS/
func (w *Watcher) inhibit(ctx context.Context, l *link) *os.File {
	var fd dbus.UnixFD
	err := l.call(ctx, login1, managerPath, manager+".Inhibit", "sleep", "csp-agent", "Wipes tokens before the machine sleeps", "delay").Store(&fd)
	if err != nil {
		w.o.Log.Warn("a sleep can't be held up: it may begin before the agent is locked", "err", err)
		return nil
	}
	return os.NewFile(uintptr(fd), "inhibitor lock")
}

// own reports whether a session is of this user.
func (l *link) own(ctx context.Context, path dbus.ObjectPath) bool {
	var user struct {
		UID  uint32
		Path dbus.ObjectPath
	}
	return l.property(ctx, login1, path, session, "User", &user) == nil && int(user.UID) == os.Getuid()
}

// anyLocked reports whether a session of this user says that it is locked.
func (l *link) anyLocked(ctx context.Context) bool {
	var list []struct {
		ID   string
		UID  uint32
		User string
		Seat string
		Path dbus.ObjectPath
	}
	if l.call(ctx, login1, managerPath, manager+".ListSessions").Store(&list) != nil {
		return false
	}
	for _, s := range list {
		var hint bool
		if int(s.UID) == os.Getuid() && l.property(ctx, login1, s.Path, session, "LockedHint", &hint) == nil && hint {
			return true
		}
	}
	return false
}
