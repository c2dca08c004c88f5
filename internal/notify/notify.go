// Package notify tells the person at the desktop of API tokens that are about
// to end: by the notifications of freedesktop.org over D-Bus, on macOS and on
// Windows by their own means.
package notify

import (
	"context"
	"log/slog"
	"strings"
	"time"
	"unicode"

	"github.com/cspctl/cspctl/internal/ipc"
)

// Options are what a Desktop is made of. Open and Snooze are needed where
// notifications have actions.
type Options struct {
	// Open shows a page in the person's browser.
	Open func(ctx context.Context, url string) error
	// Snooze is called when a person asks to be left alone about a profile.
	Snooze func(profile string)
	// Ready is called when somebody has appeared who shows notifications.
	Ready func()
	Log   *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.Open == nil {
		o.Open = func(context.Context, string) error { return nil }
	}
	if o.Snooze == nil {
		o.Snooze = func(string) {}
	}
	if o.Ready == nil {
		o.Ready = func() {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Name implements expiry.Channel.
func (*Desktop) Name() string { return "desktop" }

// urgency is that of the Desktop Notifications Specification.
type urgency byte

const (
	low urgency = iota
	normal
	critical
)

// note is what a person is shown.
type note struct {
	summary, body string
	urgency       urgency
	dead          bool // the token has ended
}

// maxText bounds each text of a note, in characters.
const maxText = 200

// noteOf words a warning for the desktop.
func noteOf(w ipc.Event) note {
	n := note{summary: clean(capital(w.Summary)), urgency: urgencyOf(w)}
	switch w.Stage {
	case ipc.StageExpired, ipc.StageDeactivated, ipc.StageRefused:
		n.dead = true
	}
	if !w.ExpiresAt.IsZero() && w.Stage != ipc.StageDeactivated && w.Stage != ipc.StageRefused {
		n.body = "On " + w.ExpiresAt.Local().Format("Monday, 2 January 2006, 15:04") + ".\n"
	}
	if w.RenewURL != "" {
		n.body += "Make a new one in the console, then run: "
	} else {
		n.body += "Log in with a new one: "
	}
	n.body += clean(w.RenewWith)
	return n
}

func urgencyOf(w ipc.Event) urgency {
	switch left := w.ExpiresAt.Sub(w.Time); {
	case w.Stage == ipc.StageExpired, w.Stage == ipc.StageDeactivated, w.Stage == ipc.StageRefused, left <= 24*time.Hour:
		return critical
	case left <= 7*24*time.Hour:
		return normal
	}
	return low
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// clean makes a text fit to be shown: one line, no invisible characters that
// turn its direction, not too long. Names that people gave their API tokens are
// part of it.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == '\uFFFD':
			return ' '
		case unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, s)
	if r := []rune(s); len(r) > maxText {
		s = string(r[:maxText-3]) + "..."
	}
	return s
}
