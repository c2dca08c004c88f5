//go:build unix && !darwin

package notify

import (
	"context"
	"fmt"
	"sync"

	"github.com/godbus/dbus/v5"

	"github.com/cspctl/cspctl/internal/sessionbus"
)

const (
	serverName  = "org.freedesktop.Notifications" // of the interface, too
	serverPath  = "/org/freedesktop/Notifications"
	busName     = "org.freedesktop.DBus"
	ownerSignal = busName + ".NameOwnerChanged"
)

// link is one connection to the session bus, and what is known of the
// notification server on it.
type link struct {
	conn    *dbus.Conn
	bus     string // its id
	signals chan *dbus.Signal

	mu     sync.Mutex // held while a notification is sent: its click may come before its id
	server *server    // nil: none is known
}

// server is one life of a notification server.
type server struct {
	owner string
	can   map[string]bool // its capabilities
	shown map[uint32]shown
}

// shown is what the clicks on a notification are about.
type shown struct{ profile, url string }

// maxSignals bounds what waits to be looked at. More are dropped: clicks come
// one by one.
const maxSignals = 64

// inbox is godbus's handler of signals. The library's own starts a goroutine
// for each signal that finds its channel full.
type inbox chan *dbus.Signal

// DeliverSignal implements dbus.SignalHandler.
func (in inbox) DeliverSignal(_, _ string, s *dbus.Signal) {
	select {
	case in <- s:
	default:
	}
}

// dial connects to the bus. The link ends with life, its making with ctx.
func dial(ctx, life context.Context, addresses []string) (_ *link, err error) {
	l := &link{signals: make(chan *dbus.Signal, maxSignals)}
	alive, end := context.WithCancel(life)
	stop := context.AfterFunc(ctx, end)
	defer func() {
		if !stop() || err != nil {
			end()
		}
	}()
	l.conn, _, err = sessionbus.Dial(alive, addresses, dbus.WithSignalHandler(inbox(l.signals)))
	if err != nil {
		return nil, err
	}
	bus := l.conn.BusObject()
	if err := bus.CallWithContext(ctx, busName+".GetId", 0).Store(&l.bus); err != nil {
		return nil, fmt.Errorf("GetId: %w", err)
	}
	for _, rule := range []string{
		"type='signal',sender='" + busName + "',member='NameOwnerChanged',arg0='" + serverName + "'",
		"type='signal',interface='" + serverName + "',path='" + serverPath + "'",
	} {
		if err := bus.CallWithContext(ctx, busName+".AddMatch", 0, rule).Err; err != nil {
			return nil, fmt.Errorf("AddMatch: %w", err)
		}
	}
	return l, nil
}

// owner returns the unique name of the server; empty if none runs.
func (l *link) owner(ctx context.Context) (string, error) {
	var owner string
	err := l.conn.BusObject().CallWithContext(ctx, busName+".GetNameOwner", 0, serverName).Store(&owner)
	if isNobody(err) {
		return "", nil
	}
	return owner, err
}

// meet makes a server of an owner, and asks what it can do. l.mu is held.
func (l *link) meet(ctx context.Context, owner string) (*server, error) {
	if l.server != nil && l.server.owner == owner {
		return l.server, nil
	}
	var list []string
	if err := l.call(ctx, owner, "GetCapabilities").Store(&list); err != nil {
		return nil, fmt.Errorf("GetCapabilities: %w", err)
	}
	s := &server{owner: owner, can: map[string]bool{}, shown: map[uint32]shown{}}
	for _, c := range list {
		s.can[c] = true
	}
	l.server = s
	return s, nil
}

// call calls the server by its unique name: not another one that came in
// between, and none that the bus would start.
func (l *link) call(ctx context.Context, owner, method string, args ...any) *dbus.Call {
	return l.conn.Object(owner, serverPath).CallWithContext(ctx, serverName+"."+method, dbus.FlagNoAutoStart, args...)
}
