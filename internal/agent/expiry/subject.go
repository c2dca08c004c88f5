package expiry

import (
	"fmt"
	"strings"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
)

// Subject is what is known of the secret of one profile, and what people were
// told about it.
type Subject struct {
	Profile, Provider, Server, Org string

	Kind      string // what people call such a secret: API token, password; never empty
	TokenName string // as the console shows it; may be empty
	RenewURL  string // the page where a new one is made; may be empty

	Login     time.Time // when the secret was stored: another time is another secret
	CheckedAt time.Time // when the server was asked last
	ExpiresAt time.Time // zero: never, or not known
	Life      time.Duration

	Refused     bool // by the server, for good
	Deactivated bool // so said the server

	Told map[string]Told // by channel
}

// dying is how long before its end a token that the server refuses is taken to
// have ended: clocks differ.
const dying = 10 * time.Minute

// Stage returns the stage that the secret has reached at now; empty if there
// is nothing to warn of.
func (s Subject) Stage(stages Stages, now time.Time) string {
	left := s.ExpiresAt.Sub(now)
	ends := !s.ExpiresAt.IsZero()
	switch {
	case ends && (left <= 0 || s.Refused && left <= dying):
		return ipc.StageExpired
	case s.Deactivated:
		return ipc.StageDeactivated
	case s.Refused:
		return ipc.StageRefused
	case ends:
		if stage, ok := stages.For(s.Life).At(left); ok {
			return stage.Name
		}
	}
	return ""
}

// next returns how long it is until the next stage begins; most if that is
// longer.
func (s Subject) next(stages Stages, now time.Time, most time.Duration) time.Duration {
	for _, stage := range stages.For(s.Life) {
		if in := s.ExpiresAt.Add(-stage.Before).Sub(now); in > 0 && in < most {
			most = in
		}
	}
	return most
}

// Warning words a stage.
func (s Subject) Warning(stage string, now time.Time) ipc.Event {
	e := s.event(ipc.EventWarning, now)
	e.Kind = s.Kind
	condition, on := s.condition(stage, now)
	e.Summary = strings.ToUpper(s.Kind[:1]) + s.Kind[1:] + " of " + s.Profile + condition
	e.Stage, e.TokenName, e.ExpiresAt, e.RenewURL = stage, s.TokenName, s.ExpiresAt.UTC(), s.RenewURL
	e.RenewWith = "cspctl login " + s.Profile
	e.Message = "the " + s.Kind
	if s.TokenName != "" {
		e.Message += " " + s.TokenName
	}
	e.Message += " of profile " + s.Profile + condition + on
	switch {
	case s.RenewURL != "" && s.Kind == tokenKind:
		e.Message += "; make a new one at " + s.RenewURL + ", then: " + e.RenewWith
	default:
		e.Message += "; log in with a new one: " + e.RenewWith
	}
	return e
}

func (s Subject) event(kind string, now time.Time) ipc.Event {
	return ipc.Event{Schema: ipc.EventSchema, Type: kind, Time: now.UTC().Truncate(time.Second),
		Profile: s.Profile, Provider: s.Provider, Server: s.Server, Org: s.Org}
}

// tokenKind is what people can make anew themselves.
const tokenKind = "API token"

// condition says what is the matter, to follow the name, and when.
func (s Subject) condition(stage string, now time.Time) (what, on string) {
	on = s.ExpiresAt.UTC().Format("2006-01-02 15:04 UTC")
	left := s.ExpiresAt.Sub(now)
	switch {
	case stage == ipc.StageDeactivated:
		return " was deactivated in the console", ""
	case stage == ipc.StageRefused:
		return " is refused by the server", ": it was revoked or replaced"
	case left <= 0 || stage == ipc.StageExpired:
		return " expired", " on " + on
	}
	return " expires in " + span(left), ", on " + on
}

// span says how long, rounded down, but for a moment that is missing: a stage
// of three days is told a few seconds later.
func span(left time.Duration) string {
	for _, u := range []struct {
		from, size, moment time.Duration
		name               string
	}{{2 * day, day, time.Minute, "days"}, {2 * time.Hour, time.Hour, time.Minute, "hours"}, {0, time.Minute, time.Second, "minutes"}} {
		if left+u.moment >= u.from {
			return fmt.Sprintf("%d %s", (left+u.moment)/u.size, u.name)
		}
	}
	return "" // not below zero
}
