package ipc

import (
	"time"

	"github.com/cspctl/cspctl/internal/provider"
)

// The types of an Event.
const (
	EventWarning  = "warning"  // the API token of a profile ends soon, or is dead
	EventCleared  = "cleared"  // what was warned of no longer holds, as after a login
	EventExchange = "exchange" // an access token was asked for upstream
	EventLogin    = "login"
	EventLogout   = "logout" // or the profile was removed
	EventLocked   = "locked" // the agent; Message says why
	EventUnlocked = "unlocked"
	EventLost     = "lost" // this reader was too slow: events are missing here
)

// EventSchema is the version of the JSON of an Event. Fields may be added
// within a version.
const EventSchema = 1

// The stages of a warning that are no time before the end. Others are such a
// time, as FormatDuration writes it.
const (
	StageExpired     = "expired"
	StageDeactivated = "deactivated" // by its owner, in the console
	StageRefused     = "refused"     // by the server, for good: revoked, regenerated
)

// Event is something that happened. It is a line of GET /v1/events and what a
// hook is given; no secret and no token is ever part of it.
type Event struct {
	Schema  int       `json:"schema"` // EventSchema
	Type    string    `json:"type"`
	Time    time.Time `json:"time"`
	Profile string    `json:"profile,omitempty"`

	Provider string `json:"provider,omitempty"`
	Server   string `json:"server,omitempty"`
	Org      string `json:"org,omitempty"`

	// Of EventWarning.
	Stage     string    `json:"stage,omitempty"`       // 30d ... 1h, or a constant above
	Summary   string    `json:"summary,omitempty"`     // what is the matter, in a few words
	Message   string    `json:"message,omitempty"`     // one line for a person; of a failed exchange, too
	Kind      string    `json:"kind,omitempty"`        // what people call it: API token, client secret, password
	TokenName string    `json:"token_name,omitempty"`  // as the console shows it
	ExpiresAt time.Time `json:"expires_at,omitzero"`   // of the API token; of the access token in an exchange
	RenewURL  string    `json:"renew_url,omitempty"`   // the page where a new one is made
	RenewWith string    `json:"renew_with,omitempty"`  // the command that takes it
	Outcome   string    `json:"outcome,omitempty"`     // of EventExchange: granted, refused, failed or store
	Code      Code      `json:"code,omitempty"`        // of a failed exchange
	Ahead     bool      `json:"ahead,omitempty"`       // of an exchange that nobody waited for
	Lost      int       `json:"lost_events,omitempty"` // of EventLost: how many
}

// Why an agent was locked: Message of EventLocked.
const (
	LockAsked  = "asked for"
	LockScreen = "the screen was locked"
	LockSleep  = "the machine goes to sleep"
)

// IsCloudServices reports whether a provider's tokens are those of VMware Cloud
// Services, which go into the header csp-auth-token, too.
func IsCloudServices(name string) bool { return name == provider.CSP || name == provider.CSPApp }

// SecretKind is what people call the secret of a provider; see Event.Kind.
func SecretKind(name string) string {
	switch name {
	case provider.CSPApp:
		return "client secret"
	case provider.VCDSession:
		return "password"
	}
	return "API token"
}

// The outcomes of an exchange.
const (
	OutcomeGranted = "granted"
	OutcomeRefused = "refused" // by the server, for good or for now
	OutcomeFailed  = "failed"  // the server could not be reached, or is failing
	OutcomeStore   = "store"   // the secret could not be read, or its replacement not be stored
)
