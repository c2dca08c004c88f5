//go:build unix && !darwin

package autolock

import (
	"context"
	"slices"
	"strings"

	"github.com/godbus/dbus/v5"
)

// screenSavers are the names on the session bus, and the interfaces, of the
// desktops' screen savers: all have a signal ActiveChanged(b) and a method
// GetActive. https://specifications.freedesktop.org/idle-inhibit-spec/
var screenSavers = []string{
	"org.freedesktop.ScreenSaver", "org.gnome.ScreenSaver", "org.cinnamon.ScreenSaver", "org.mate.ScreenSaver", "org.xfce.ScreenSaver",
}

var screenSaverRules = func() (rules []string) {
	for _, name := range screenSavers {
		rules = append(rules, "type='signal',sender='"+name+"',interface='"+name+"',member='ActiveChanged'")
	}
	return rules
}()

// screenSavers locks when a screen saver becomes active.
func (w *Watcher) screenSavers(ctx context.Context, l *link, again bool) {
	if again && l.anyActive(ctx) {
		w.o.Lock(ctx, false)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.Context().Done():
			return
		case <-l.changed:
			if !w.o.Wanted().Screen {
				return
			}
		case s := <-l.signals:
			name, ok := strings.CutSuffix(s.Name, ".ActiveChanged")
			if !ok || !slices.Contains(screenSavers, name) || len(s.Body) != 1 {
				continue
			}
			if active, _ := s.Body[0].(bool); active {
				w.o.Lock(ctx, false)
			}
		}
	}
}

// anyActive reports whether a screen saver says that it is active.
func (l *link) anyActive(ctx context.Context) bool {
	for _, name := range screenSavers {
		var active bool
		path := dbus.ObjectPath("/" + strings.ReplaceAll(name, ".", "/"))
		if l.call(ctx, name, path, name+".GetActive").Store(&active) == nil && active {
			return true
		}
	}
	return false
}
