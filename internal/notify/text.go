package notify

import (
	"cmp"
	"fmt"
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

// compose puts a warning into words, at a time whose zone is the reader's.
func compose(w ipc.Event, now time.Time) message {
	left := w.ExpiresAt.Sub(now)
	m := message{urgency: critical}
	verb, why := "", ""
	at := w.ExpiresAt.In(now.Location()).Format("Mon 2 Jan 2006, 15:04")
	switch {
	case w.Stage == ipc.StageDeactivated:
		verb, why = "is deactivated", "was deactivated in the console."
	case w.Stage == ipc.StageRefused:
		verb, why = "is refused", "was revoked or replaced: the server takes it no more."
	case w.ExpiresAt.IsZero() && w.Stage == ipc.StageExpired:
		verb, why = "has expired", "has ended."
	case w.ExpiresAt.IsZero():
		verb, why, m.urgency = "expires soon", "ends soon.", normal
	case w.Stage == ipc.StageExpired || left <= 0:
		verb, why = "has expired", "ended "+at+"."
	default:
		verb, why, m.urgency = "expires in "+roughly(left), "ends "+at+".", urgencyOf(left)
	}
	kind := cmp.Or(w.Kind, "API token")
	m.summary = strings.ToUpper(kind[:1]) + kind[1:] + " of " + line(w.Profile, 60) + " " + verb
	subject := "It"
	if w.TokenName != "" {
		subject = `The token "` + line(w.TokenName, 60) + `"`
	}
	command := cmp.Or(w.RenewWith, "cspctl login "+w.Profile)
	m.body = subject + " " + why + "\nMake a new one, then run: " + line(command, 120)
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

// roughly says a time as people do, rounded to what is nearest.
func roughly(d time.Duration) string {
	switch {
	case d >= 2*day-day/2:
		return count(d, day, "days")
	case d >= 2*time.Hour-time.Hour/2:
		return count(d, time.Hour, "hours")
	case d >= 2*time.Minute-time.Minute/2:
		return count(d, time.Minute, "minutes")
	}
	return "a minute"
}

func count(d, unit time.Duration, name string) string {
	return fmt.Sprintf("%d %s", (d+unit/2)/unit, name)
}

// line makes text from elsewhere fit for a line of a notification.
func line(s string, most int) string {
	s = strings.Join(strings.Fields(term.Clean(s)), " ")
	if utf8.RuneCountInString(s) > most {
		s = string([]rune(s)[:most-1]) + "…"
	}
	return s
}
