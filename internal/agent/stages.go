package agent

import (
	"fmt"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
)

// stage is a point before the end of an API token at which its owner is told.
type stage struct {
	name   string
	before time.Duration
}

// stages run from the most urgent to the least.
var stages = []stage{
	{"expired", 0},
	{"1h", time.Hour},
	{"1d", day},
	{"3d", 3 * day},
	{"7d", 7 * day},
	{"14d", 14 * day},
	{"30d", 30 * day},
}

const day = 24 * time.Hour

// stageAt returns the stage that a token with this life left has reached.
func stageAt(left time.Duration) (stage, bool) {
	for _, s := range stages {
		if left <= s.before {
			return s, true
		}
	}
	return stage{}, false
}

// text says when, to follow the name of the token.
func (s stage) text(at, now time.Time) string {
	left := at.Sub(now)
	on := at.UTC().Format("2006-01-02 15:04 UTC")
	switch {
	case left <= 0:
		return " expired on " + on
	case left < 2*time.Hour:
		return fmt.Sprintf(" expires in %d minutes, on %s", int(left.Minutes()), on)
	case left < 2*day:
		return fmt.Sprintf(" expires in %d hours, on %s", int(left.Hours()), on)
	}
	return fmt.Sprintf(" expires in %d days, on %s", int(left/day), on)
}

// warning is what a person who asks for a token should be told about the API
// token behind it; nil if nothing is due.
func (r Record) warning(profile string, now time.Time) *ipc.Warning {
	if r.Expiry == nil || !r.Expiry.Known || r.Expiry.Never {
		return nil
	}
	stage, ok := stageAt(r.Expiry.At.Sub(now))
	if !ok {
		return nil
	}
	what := "the API token of profile " + profile
	if r.TokenName != "" {
		what = "the API token " + r.TokenName + " of profile " + profile
	}
	return &ipc.Warning{Stage: stage.name, Message: what + stage.text(r.Expiry.At, now) +
		"; make a new one at " + r.Origin + " (My Account > API Tokens), then: cspctl login " + profile}
}
