package notify

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/term"
)

// The urgencies of the notification specification.
const (
	low byte = iota
	normal
	critical
)

const day = 24 * time.Hour

// message is what a person is told. It holds no markup, and nothing that
// belongs to one organization.
type message struct {
	urgency byte
	summary string
	body    string // two lines
}

// compose makes a message of a warning, at a time whose zone is the reader's.
func compose(w ipc.Event, now time.Time) message {
	left := w.ExpiresAt.Sub(now)
	at := w.ExpiresAt.In(now.Location()).Format("Mon 2 Jan 2006, 15:04")
	m := message{urgency: critical, summary: line(w.Summary, 120)}
	why := ""
	switch {
	case w.Stage == ipc.StageDeactivated:
		why = "was deactivated in the console."
	case w.Stage == ipc.StageRefused:
		why = "was revoked or replaced: the server takes it no more."
	case w.Stage == ipc.StageExpired || left <= 0:
		why = "ended " + at + "."
	default:
		why, m.urgency = "ends "+at+".", urgencyOf(left)
	}
	subject := "It"
	if w.TokenName != "" {
		subject = `The token "` + line(w.TokenName, 60) + `"`
	}
	m.body = subject + " " + why + "\nMake a new one, then run: " + line(w.RenewWith, 120)
	return m
}

func urgencyOf(left time.Duration) byte {
	switch {
	case left <= day:
		return critical
	case left <= 7*day:
		return normal
	}
	return low
}

// line makes text from elsewhere fit for a line of a notification.
func line(s string, most int) string {
	s = strings.Join(strings.Fields(term.Clean(s)), " ")
	if utf8.RuneCountInString(s) > most {
		s = string([]rune(s)[:most-1]) + "…"
	}
	return s
}
