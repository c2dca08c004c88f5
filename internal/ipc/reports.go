package ipc

import (
	"time"

	"github.com/cspctl/cspctl/internal/provider"
)

// Details is what the server says about a stored secret, and the types of its
// parts.
type (
	Details       = provider.Details
	AllowedScopes = provider.AllowedScopes
	ScopeSet      = provider.ScopeSet
)

// ProfileDetails answers GET /v1/profiles/{name}/details.
type ProfileDetails struct {
	Profile   string    `json:"profile"`
	Provider  string    `json:"provider"`
	Server    string    `json:"server"`
	CheckedAt time.Time `json:"checked_at"`
	Details
}

// ExpiryReport answers GET /v1/expiry.
type ExpiryReport struct {
	Profiles []ProfileExpiry `json:"profiles"` // sorted by name, unless asked for by name
	// Stages are how long before the end the agent warns, from the first one
	// on: durations as ParseDuration reads them, and "expired".
	Stages []string `json:"stages"`
}

// What is known of the end of an API token.
const (
	ExpiryKnown   = "known"
	ExpiryNever   = "never"   // it does not expire, or not within ten years
	ExpiryUnknown = "unknown" // it was not asked about, or the answer could not be read
	ExpiryNone    = "none"    // the system does not tell, or there is none
)

// ProfileExpiry is when the API token of a profile ends, as the agent
// remembers it: after the end the server can't be asked any more.
type ProfileExpiry struct {
	Profile     string    `json:"profile"`
	Provider    string    `json:"provider"`
	Server      string    `json:"server"`
	Org         string    `json:"org,omitempty"`
	Status      string    `json:"status"`              // ExpiryKnown and so on
	ExpiresAt   time.Time `json:"expires_at,omitzero"` // where known
	Stages      []string  `json:"stages,omitempty"`    // of this token, as those of the report
	CheckedAt   time.Time `json:"checked_at,omitzero"` // when the server was asked last
	TokenName   string    `json:"token_name,omitempty"`
	Deactivated bool      `json:"deactivated"`         // in the console, by its owner
	Refused     bool      `json:"refused"`             // by the server, for good
	RenewURL    string    `json:"renew_url,omitempty"` // the page where a new one is made
}

// The forms of an access token.
const (
	FormatJWT    = "jwt"
	FormatOpaque = "opaque" // only the server can read it
)

// Inspection answers GET /v1/profiles/{name}/inspect: what an access token
// says, never the token or its signature.
type Inspection struct {
	Profile  string `json:"profile"`
	Provider string `json:"provider"`
	Format   string `json:"format"` // FormatJWT or FormatOpaque

	Algorithm string `json:"alg,omitempty"`
	KeyID     string `json:"kid,omitempty"`

	Issuer      string   `json:"issuer,omitempty"`
	Subject     string   `json:"subject,omitempty"`
	Username    string   `json:"username,omitempty"`
	Acct        string   `json:"acct,omitempty"` // the user's name at the identity provider
	Domain      string   `json:"domain,omitempty"`
	Org         string   `json:"org,omitempty"`       // claim context_name
	ClientID    string   `json:"client_id,omitempty"` // claims azp, cid
	Audience    []string `json:"audience,omitempty"`
	Scope       []string `json:"scope,omitempty"`
	Groups      []string `json:"groups,omitempty"`
	Permissions []string `json:"permissions,omitempty"`

	IssuedAt  time.Time `json:"issued_at,omitzero"`  // claim iat, by the server's clock
	ExpiresAt time.Time `json:"expires_at,omitzero"` // claim exp, by the server's clock
	// ServedUntil and Remaining, in seconds, are the agent's own reckoning by
	// this machine's clock; missing and 0 where the life is not known.
	ServedUntil time.Time `json:"served_until,omitzero"`
	Remaining   int64     `json:"remaining"`
	// ClockSkew is how far the server's clock is ahead of this machine's, in
	// seconds, as the answer with the token told; missing if it did not.
	ClockSkew *int64 `json:"clock_skew,omitempty"`

	Signature Signature `json:"signature"`
}

// The verdicts on a signature.
const (
	SignatureValid     = "valid"
	SignatureInvalid   = "invalid"
	SignatureUnchecked = "unchecked"
)

// Signature is the verdict on the signature of a token.
type Signature struct {
	Status string `json:"status"`
	Reason string `json:"reason,omitempty"` // one line: why it is not valid
}
