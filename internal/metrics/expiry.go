package metrics

import (
	"math"

	"github.com/cspctl/cspctl/internal/ipc"
)

// What `cspctl expiry -o prometheus` tells, too, in the same words: rules and
// dashboards are for both. A test of cspctl compares them.
var (
	tokenEnd = desc("csp_api_token_expiry_timestamp_seconds",
		"When the API token expires, in seconds since 1970; +Inf if never, missing if not known.", profileLabels...)
	tokenUnknown = desc("csp_api_token_expiry_unknown",
		"Whether the end of the API token is not known, though the system tells it.", profileLabels...)
	tokenChecked = desc("csp_api_token_checked_timestamp_seconds",
		"When the server was last asked about the API token, in seconds since 1970.", profileLabels...)
	tokenRefused     = desc("csp_api_token_refused", "Whether the server refuses the API token for good.", profileLabels...)
	tokenDeactivated = desc("csp_api_token_deactivated", "Whether the API token was deactivated in the console.", profileLabels...)
	tokenInfo        = desc("csp_api_token_info", "What the API token is called; always 1.", "profile", "provider", "server", "org", "token_name")
)

// tokenLeft is told here alone: in a file that is written now and then, the
// time left would stand still.
var tokenLeft = desc("csp_api_token_expires_in_seconds",
	"How long the API token lives, negative if it has expired; +Inf if it never does, missing if not known.", profileLabels...)

func (s *sink) expiry(e ipc.ProfileExpiry) {
	switch e.Status {
	case ipc.ExpiryKnown:
		s.gauge(tokenEnd, unix(e.ExpiresAt), e.Profile, e.Provider)
		s.gauge(tokenLeft, e.ExpiresAt.Sub(s.now).Seconds(), e.Profile, e.Provider)
	case ipc.ExpiryNever:
		s.gauge(tokenEnd, math.Inf(1), e.Profile, e.Provider)
		s.gauge(tokenLeft, math.Inf(1), e.Profile, e.Provider)
	}
	s.gauge(tokenUnknown, truth(e.Status == ipc.ExpiryUnknown), e.Profile, e.Provider)
	if !e.CheckedAt.IsZero() {
		s.gauge(tokenChecked, unix(e.CheckedAt), e.Profile, e.Provider)
	}
	s.gauge(tokenRefused, truth(e.Refused), e.Profile, e.Provider)
	s.gauge(tokenDeactivated, truth(e.Deactivated), e.Profile, e.Provider)
	s.gauge(tokenInfo, 1, e.Profile, e.Provider, e.Server, e.Org, e.TokenName)
}
