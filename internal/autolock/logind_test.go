//go:build unix && !darwin

package autolock_test

import (
	"errors"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/cspctl/cspctl/internal/sessionbus/bustest"
)

const (
	login1      = "org.freedesktop.login1"
	managerPath = "/org/freedesktop/login1"
	ownSession  = dbus.ObjectPath("/org/freedesktop/login1/session/_31")
	elsesOne    = dbus.ObjectPath("/org/freedesktop/login1/session/_32")
)

// logind plays org.freedesktop.login1 on a bus, with a session of this user's
// and one of somebody else's.
type logind struct {
	t    *testing.T
	conn *dbus.Conn

	mu   sync.Mutex
	held []*os.File // ends of inhibitor locks, which end when the other end is closed
	took chan struct{}
	hint bool // LockedHint of the user's session
}

func startLogind(t *testing.T, b *bustest.Bus) *logind {
	t.Helper()
	l := &logind{t: t, conn: b.Connect(t), took: make(chan struct{}, 16)}
	if err := l.conn.ExportMethodTable(map[string]any{"Inhibit": l.inhibit, "ListSessions": l.sessions}, managerPath, login1+".Manager"); err != nil {
		t.Fatal(err)
	}
	for path, uid := range map[dbus.ObjectPath]uint32{ownSession: uint32(os.Getuid()), elsesOne: uint32(os.Getuid()) + 1} {
		get := func(_, name string) (dbus.Variant, *dbus.Error) {
			l.mu.Lock()
			defer l.mu.Unlock()
			switch name {
			case "User":
				return dbus.MakeVariant(struct {
					UID  uint32
					Path dbus.ObjectPath
				}{uid, "/org/freedesktop/login1/user/_1"}), nil
			case "LockedHint":
				return dbus.MakeVariant(l.hint), nil
			}
			return dbus.Variant{}, dbus.MakeFailedError(os.ErrInvalid)
		}
		if err := l.conn.ExportMethodTable(map[string]any{"Get": get}, path, "org.freedesktop.DBus.Properties"); err != nil {
			t.Fatal(err)
		}
	}
	if reply, err := l.conn.RequestName(login1, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatalf("%v, %v", reply, err)
	}
	return l
}

func (l *logind) inhibit(what, who, _, mode string) (dbus.UnixFD, *dbus.Error) {
	if what != "sleep" || who != "csp-agent" || mode != "delay" {
		l.t.Errorf("inhibits %q for %q by %q", what, who, mode)
	}
	var ends [2]int
	if err := errors.Join(syscall.Pipe(ends[:]), syscall.SetNonblock(ends[0], true)); err != nil {
		return 0, dbus.MakeFailedError(err)
	}
	r := os.NewFile(uintptr(ends[0]), "the end of an inhibitor lock")
	// Once it was sent, this end is logind's alone no more.
	time.AfterFunc(100*time.Millisecond, func() {
		_ = syscall.Close(ends[1])
		l.mu.Lock()
		l.held = append(l.held, r)
		l.mu.Unlock()
		l.took <- struct{}{}
	})
	return dbus.UnixFD(ends[1]), nil
}

type listed struct {
	ID   string
	UID  uint32
	User string
	Seat string
	Path dbus.ObjectPath
}

func (l *logind) sessions() ([]listed, *dbus.Error) {
	return []listed{{"1", uint32(os.Getuid()), "me", "seat0", ownSession}, {"2", uint32(os.Getuid()) + 1, "you", "", elsesOne}}, nil
}

func (l *logind) emit(path dbus.ObjectPath, signal string, values ...any) {
	l.t.Helper()
	if err := l.conn.Emit(path, signal, values...); err != nil {
		l.t.Fatal(err)
	}
}

func (l *logind) prepareForSleep(begins bool) {
	l.t.Helper()
	l.emit(managerPath, login1+".Manager.PrepareForSleep", begins)
}

func (l *logind) hinted(path dbus.ObjectPath, locked bool) {
	l.t.Helper()
	l.emit(path, "org.freedesktop.DBus.Properties.PropertiesChanged", login1+".Session",
		map[string]dbus.Variant{"LockedHint": dbus.MakeVariant(locked)}, []string{})
}

// last returns the end of the inhibitor lock that was taken last.
func (l *logind) last() *os.File {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held[len(l.held)-1]
}

// isHeld reports whether the lock at whose end r is will be held for that long.
func isHeld(r *os.File, d time.Duration) bool {
	_ = r.SetReadDeadline(time.Now().Add(d))
	_, err := r.Read(make([]byte, 1))
	return errors.Is(err, os.ErrDeadlineExceeded)
}
