package doctor

import (
	"regexp"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
)

// P7: an API token that has expired, soon will, or does not.
func TestP7Expires(t *testing.T) {
	known := func(left time.Duration) *ipc.ProfileExpiry {
		return &ipc.ProfileExpiry{Status: ipc.ExpiryKnown, ExpiresAt: time.Now().Add(left)}
	}
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		x     *ipc.ProfileExpiry
		state State
		text  string
	}{
		"nothing was said": {nil, "", ""},
		"in a month":       {known(30 * day), "", ""},
		"never":            {&ipc.ProfileExpiry{Status: ipc.ExpiryNever}, "", ""},
		"unknown":          {&ipc.ProfileExpiry{Status: ipc.ExpiryUnknown}, "", ""},
		"in ten days":      {known(10*day + time.Hour), Warn, `^its API token expires in 10 days, at 20\S+Z$`},
		"in ten hours":     {known(10*time.Hour + time.Minute), Warn, `expires in 10 hours`},
		"in ten minutes":   {known(10*time.Minute + time.Second), Warn, `expires in 10m0s`},
		"yesterday":        {known(-day), Fail, `^its API token expired at 20\S+Z$`},
		"refused":          {&ipc.ProfileExpiry{Status: ipc.ExpiryUnknown, Refused: true}, Fail, `knows its API token no more`},
	} {
		f := expires(profile{expiry: c.x}, "renew it")
		switch {
		case c.state == "" && f != nil:
			t.Errorf("%s: got %+v", name, f)
		case c.state == "":
		case f == nil || f.State != c.state || f.Fix != "renew it" || !regexp.MustCompile(c.text).MatchString(f.Summary):
			t.Errorf("%s: got %+v", name, f)
		}
	}
}
