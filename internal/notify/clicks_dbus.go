//go:build unix && !darwin

package notify

import (
	"context"
	"time"

	"github.com/godbus/dbus/v5"
)

// The keys of actions. A click on the notification itself is defaultAction.
const (
	defaultAction = "default"
	renewAction   = "renew"
	snoozeAction  = "snooze"
)

// openPatience is how long a browser may take to start.
const openPatience = 30 * time.Second

// listen follows the signals until the connection ends.
func (d *Desktop) listen(l *link) {
	for {
		select {
		case s := <-l.signals:
			d.hear(l, s)
		case <-l.conn.Context().Done():
			return
		}
	}
}

// hear acts on one signal. Anybody on the bus may send one, of any shape.
func (d *Desktop) hear(l *link, s *dbus.Signal) {
	switch s.Name {
	case ownerSignal:
		if s.Sender != busName || len(s.Body) != 3 || s.Body[0] != serverName {
			return
		}
		owner, ok := s.Body[2].(string)
		if !ok {
			return
		}
		l.mu.Lock()
		if l.server != nil && l.server.owner != owner {
			l.server = nil
		}
		l.mu.Unlock()
		if owner != "" {
			d.appeared(owner)
		}
	case serverName + ".ActionInvoked":
		if id, key, ok := pair[string](s.Body); ok {
			if about, ok := l.about(s.Sender, id); ok {
				d.clicked(about, key)
			}
		}
	case serverName + ".NotificationClosed":
		// Only what a program closed is gone for good: what timed out or was
		// dismissed comes back from a server's history, with its actions.
		const byCall = 3
		if id, reason, ok := pair[uint32](s.Body); ok && reason == byCall {
			l.forget(s.Sender, id)
		}
	}
}

// pair returns the id and the other value of a signal, if they are of these
// types. dbus.Store would convert others.
func pair[T any](body []any) (id uint32, value T, ok bool) {
	if len(body) != 2 {
		return 0, value, false
	}
	id, isID := body[0].(uint32)
	value, ok = body[1].(T)
	return id, value, isID && ok
}

// about returns what a notification is about, if it is ours.
func (l *link) about(sender string, id uint32) (shown, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.server == nil || l.server.owner != sender {
		return shown{}, false
	}
	about, ok := l.server.shown[id]
	return about, ok
}

func (l *link) forget(sender string, id uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.server != nil && l.server.owner == sender {
		delete(l.server.shown, id)
	}
}

func (d *Desktop) clicked(about shown, key string) {
	switch {
	case key == snoozeAction && d.o.Snooze != nil:
		d.o.Snooze(about.profile)
	case (key == renewAction || key == defaultAction) && d.o.Open != nil && about.url != "":
		d.mu.Lock()
		busy := d.opening[about.profile]
		d.opening[about.profile] = true
		d.mu.Unlock()
		if busy {
			return // a person clicks twice, and a program a thousand times
		}
		d.wg.Go(func() {
			defer func() {
				d.mu.Lock()
				defer d.mu.Unlock()
				delete(d.opening, about.profile)
			}()
			ctx, cancel := context.WithTimeout(d.life, openPatience)
			defer cancel()
			if err := d.o.Open(ctx, about.url); err != nil {
				d.o.Log.Warn("the page of API tokens could not be opened", "profile", about.profile, "err", err)
			}
		})
	}
}
