//go:build unix && !darwin

package notify

import (
	"strings"

	"github.com/godbus/dbus/v5"

	"github.com/cspctl/cspctl/internal/ipc"
)

// The parts of a message in the form of the notification specification.

func (m message) icon() string {
	if m.urgency == critical {
		return "dialog-error"
	}
	return "dialog-warning"
}

// timeout is in milliseconds: 0 is never, -1 leaves it to the server.
func (m message) timeout() int32 {
	if m.urgency == critical {
		return 0
	}
	return -1
}

// hints name no desktop-entry: there is no .desktop file of ours.
func (m message) hints() map[string]dbus.Variant {
	return map[string]dbus.Variant{
		"urgency":  dbus.MakeVariant(m.urgency),
		"category": dbus.MakeVariant("x-cspctl.expiry"),
	}
}

// actions are pairs of a key and its label; none for a server that has none.
func (d *Desktop) actions(s *server, w ipc.Event) []string {
	list := []string{}
	if !s.can["actions"] {
		return list
	}
	if w.RenewURL != "" && d.o.Open != nil {
		list = append(list, defaultAction, "Renew", renewAction, "Renew")
	}
	if d.o.Snooze != nil {
		list = append(list, snoozeAction, "Remind me tomorrow")
	}
	return list
}

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// markup writes text so that the server shows it as it is.
func (s *server) markup(text string) string {
	if !s.can["body-markup"] {
		return text
	}
	return escaper.Replace(text)
}
