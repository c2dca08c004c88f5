//go:build unix && !darwin

package notify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/godbus/dbus/v5"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/sessionbus"
)

const (
	notifications     = "org.freedesktop.Notifications"
	notificationsPath = dbus.ObjectPath("/org/freedesktop/Notifications")
	busInterface      = "org.freedesktop.DBus"
)

// bus is one connection to one session bus.
type bus struct {
	conn *dbus.Conn
	id   string // of the bus: another one has another
	end  context.CancelFunc
	done chan struct{} // closed once the connection has ended

	mu    sync.Mutex
	shown map[place]shown
	order []place // the oldest first
}

// place is where a notification is: an id means something to one server.
type place struct {
	owner string
	id    uint32
}

// shown is what a notification is about.
type shown struct{ profile, url string }

// maxShown bounds the notifications whose actions are remembered.
const maxShown = 256

// dial connects to the session bus, and listens to it until the connection ends.
func (d *Desktop) dial(ctx context.Context) (*bus, error) {
	life, end := context.WithCancel(d.ctx)
	stop := context.AfterFunc(ctx, end) // until it is connected
	conn, _, err := sessionbus.Dial(life, d.addresses)
	if err != nil {
		end()
		return nil, err
	}
	b := &bus{conn: conn, end: end, done: make(chan struct{}), shown: map[place]shown{}}
	signals := make(chan *dbus.Signal, 64)
	conn.Signal(signals)
	go func() {
		defer close(b.done)
		for s := range signals { // closed with the connection
			d.signal(b, s)
		}
	}()
	err = conn.BusObject().CallWithContext(ctx, busInterface+".GetId", 0).Store(&b.id)
	for _, rule := range [][]dbus.MatchOption{
		{dbus.WithMatchSender(busInterface), dbus.WithMatchInterface(busInterface), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, notifications)},
		{dbus.WithMatchSender(notifications), dbus.WithMatchInterface(notifications), dbus.WithMatchObjectPath(notificationsPath)},
	} {
		if err == nil {
			err = conn.AddMatchSignalContext(ctx, rule...)
		}
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *bus) close() {
	b.end()
	_ = b.conn.Close()
	<-b.done
}

// gone reports whether the connection has ended.
func (b *bus) gone() bool {
	select {
	case <-b.done:
		return true
	default:
		return !b.conn.Connected()
	}
}

// signal takes what arrives. Anybody on the bus can send anything.
func (d *Desktop) signal(b *bus, s *dbus.Signal) {
	switch s.Name {
	case busInterface + ".NameOwnerChanged":
		var name, before, now string
		if s.Sender == busInterface && dbus.Store(s.Body, &name, &before, &now) == nil && name == notifications && now != "" {
			d.appeared()
		}
	case notifications + ".ActionInvoked":
		var id uint32
		var key string
		if dbus.Store(s.Body, &id, &key) != nil {
			return
		}
		b.mu.Lock()
		what, ok := b.shown[place{s.Sender, id}]
		b.mu.Unlock()
		if ok {
			d.act(key, what)
		}
	}
}

// owner returns the unique name of the notification server.
func (b *bus) owner(ctx context.Context) (name string, err error) {
	err = b.conn.BusObject().CallWithContext(ctx, busInterface+".GetNameOwner", 0, notifications).Store(&name)
	return name, err
}

// isNobody reports whether an error means that the one who was called is not
// there.
func isNobody(err error) bool {
	e, ok := errors.AsType[dbus.Error](err)
	return ok && slices.Contains([]string{
		busInterface + ".Error.NameHasNoOwner", busInterface + ".Error.ServiceUnknown",
		busInterface + ".Error.NoReply", busInterface + ".Error.Disconnected",
	}, e.Name) || errors.Is(err, dbus.ErrClosed)
}

// activatable reports whether the bus can start a notification server.
func (b *bus) activatable(ctx context.Context) bool {
	var names []string
	err := b.conn.BusObject().CallWithContext(ctx, busInterface+".ListActivatableNames", 0).Store(&names)
	return err == nil && slices.Contains(names, notifications)
}

func (b *bus) activate(ctx context.Context) error {
	return b.conn.BusObject().CallWithContext(ctx, busInterface+".StartServiceByName", 0, notifications, uint32(0)).Err
}

// notify shows a warning in the place of the notification with an id, or in a
// new one if that is 0, and returns its id.
func (b *bus) notify(ctx context.Context, owner string, replaces uint32, w ipc.Event) (id uint32, err error) {
	server := b.conn.Object(owner, notificationsPath)
	var can []string
	if err := server.CallWithContext(ctx, notifications+".GetCapabilities", dbus.FlagNoAutoStart).Store(&can); err != nil {
		return 0, err
	}
	n := noteOf(w)
	if slices.Contains(can, "body-markup") {
		n.body = escape.Replace(n.body)
	}
	actions := []string{}
	if slices.Contains(can, "actions") {
		if w.RenewURL != "" {
			actions = append(actions, "default", "Renew", "renew", "Renew")
		}
		actions = append(actions, "snooze", "Remind me tomorrow")
	}
	icon, timeout := "dialog-warning", int32(-1) // as the server thinks fit
	if n.dead {
		icon = "dialog-error"
	}
	if n.urgency == critical {
		timeout = 0 // until the person has seen it
	}
	hints := map[string]dbus.Variant{"urgency": dbus.MakeVariant(byte(n.urgency))}
	// Before it is shown: a person may be quick.
	b.remember(place{owner, replaces}, shown{w.Profile, w.RenewURL})
	err = server.CallWithContext(ctx, notifications+".Notify", dbus.FlagNoAutoStart,
		"cspctl", replaces, icon, n.summary, n.body, actions, hints, timeout).Store(&id)
	if err == nil {
		b.remember(place{owner, id}, shown{w.Profile, w.RenewURL})
	}
	return id, err
}

func (b *bus) remember(p place, s shown) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.id == 0 {
		return
	}
	if _, ok := b.shown[p]; !ok {
		b.order = append(b.order, p)
	}
	b.shown[p] = s
	if len(b.order) > maxShown {
		delete(b.shown, b.order[0])
		b.order = b.order[1:]
	}
}

func (b *bus) closeNotification(ctx context.Context, owner string, id uint32) {
	_ = b.conn.Object(owner, notificationsPath).CallWithContext(ctx, notifications+".CloseNotification", dbus.FlagNoAutoStart, id).Err // it may be closed already
}

// ref names a notification for a later life of the agent.
func (b *bus) ref(owner string, id uint32) string {
	return fmt.Sprintf("%s %s %d", b.id, owner, id)
}

// replaces returns the id in a reference, or 0 if it is of another server, or
// of another life of this one.
func (b *bus) replaces(ref, owner string) uint32 {
	f := strings.Fields(ref)
	if len(f) != 3 || f[0] != b.id || f[1] != owner {
		return 0
	}
	id, err := strconv.ParseUint(f[2], 10, 32)
	if err != nil {
		return 0
	}
	return uint32(id)
}
