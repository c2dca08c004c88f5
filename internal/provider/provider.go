// Package provider holds the words that the agent and the upstream clients
// share: what an exchange takes and returns, and how it fails. It is a leaf:
// it speaks no protocol and has no policy.
package provider

import (
	"time"

	"github.com/cspctl/cspctl/internal/secret"
)

// The providers that profiles can name.
const (
	CSP        = "csp"         // a CSP API token (https://console.cloud.vmware.com, My Account > API Tokens)
	CSPApp     = "csp-app"     // an OAuth app of CSP with its secret (client credentials)
	VCD        = "vcd"         // a Cloud Director API token, or that of a service account
	VCDSession = "vcd-session" // a Cloud Director user with a password
)

// TellsDetails reports whether the servers of a provider tell anything about a
// stored secret, its end among it. Others return ErrNoDetails.
func TellsDetails(name string) bool { return name == CSP }

// Binding is what a stored secret is tied to. It rests inside the secret's own
// item, so that no edit of another file can point the secret at another server.
type Binding struct {
	Provider string `json:"provider"`            // one of the constants above
	Origin   string `json:"origin"`              // scheme://host[:port] of the server, lower case, no path
	Org      string `json:"org,omitempty"`       // the organization: a GUID for CSP, a name for Cloud Director
	ClientID string `json:"client_id,omitempty"` // OAuth client, for client credentials
	User     string `json:"user,omitempty"`      // for sessions opened with a password
	CASHA256 string `json:"ca_sha256,omitempty"` // hex SHA-256 of the PEM of a private CA
}

// Credential is a stored secret with its binding: what an item of a store holds.
type Credential struct {
	Binding
	Secret secret.Text

	// Previous is the secret before this one, kept until this one has worked;
	// empty where the server never replaces it.
	Previous secret.Text

	// CA is the PEM of the private CA that Binding.CASHA256 names. It is no
	// secret and not part of the item; the agent adds it from its state.
	CA []byte
}

// Request says which access token is wanted. The zero value asks for the
// plain one.
type Request struct {
	Scope         []string    // OAuth scopes; none means all that the API token has
	ResourceScope string      // allowed_resource_scope: JSON, sent as it is
	Passcode      secret.Text // one-time passcode of the second factor
}

// Plain reports whether nothing but the stored secret goes into the exchange.
// Only the refusal of a plain request is held against the profile.
func (r Request) Plain() bool {
	return len(r.Scope) == 0 && r.ResourceScope == "" && r.Passcode.IsZero()
}

// Token is the answer to an exchange, as the server gave it. How long it may
// be served is the agent's to decide.
type Token struct {
	Access secret.Text // RFC 6750 b64token
	ID     secret.Text // OpenID Connect ID token, if the server gave one
	Type   string      // "Bearer", whatever case the server used
	Scope  string      // space-separated, as the server said; may be empty

	// ExpiresIn is the life that the answer states, counted from the moment
	// the request was sent. Zero: missing or not believable.
	ExpiresIn time.Duration
	// IssuedAt and ExpiresAt are the claims iat and exp of the access token by
	// the server's clock; zero where it is no JWT or has no such claim.
	IssuedAt, ExpiresAt time.Time
	// ServerTime is the Date header of the answer, to the second; zero if missing.
	ServerTime time.Time

	// Replacement is the secret that replaces the stored one, where the server
	// rotates it at each use. Empty: the stored one stays.
	Replacement secret.Text
}

// Expiry is when a long-lived secret ends.
type Expiry struct {
	Known bool      `json:"known"`       // the server said it
	Never bool      `json:"never"`       // it does not end, or not within the next ten years
	At    time.Time `json:"at,omitzero"` // else: when
}

// Details is what the server says about an API token
// (ApiTokenDetailsDto of the CSP API), without the token's value.
type Details struct {
	TokenID   string `json:"token_id,omitempty"`
	TokenName string `json:"token_name,omitempty"`
	OrgID     string `json:"org_id,omitempty"`
	UserID    string `json:"user_id,omitempty"`
	Username  string `json:"username,omitempty"` // deprecated by the server, still sent
	Acct      string `json:"acct,omitempty"`     // the user's name at the identity provider
	Domain    string `json:"domain,omitempty"`
	IdPID     string `json:"idp_id,omitempty"`

	Scope         []string       `json:"scope,omitempty"`
	AllowedScopes *AllowedScopes `json:"allowed_scopes,omitempty"`

	CreatedAt  time.Time `json:"created_at,omitzero"`
	LastUsedAt time.Time `json:"last_used_at,omitzero"` // zero: never
	Expiry     Expiry    `json:"expiry"`

	Deactivated   bool      `json:"deactivated"`
	DeactivatedBy string    `json:"deactivated_updated_by,omitempty"`
	DeactivatedOn time.Time `json:"deactivated_updated_on,omitzero"`

	// RawTimes are the timestamps as the server sent them, for support.
	RawTimes map[string]string `json:"raw_times,omitempty"`
}

// AllowedScopes limits what access tokens of an API token may do.
type AllowedScopes struct {
	General      []string       `json:"general_scopes,omitempty"`
	Organization *ScopeSet      `json:"organization_scopes,omitempty"`
	Services     []ServiceScope `json:"services_scopes,omitempty"`
}

// ServiceScope is the ScopeSet of one service.
type ServiceScope struct {
	ServiceDefinitionID string `json:"service_definition_id,omitempty"`
	ScopeSet
}

// ScopeSet is a set of roles and permissions.
type ScopeSet struct {
	AllPermissions bool         `json:"all_permissions"`
	AllRoles       bool         `json:"all_roles"`
	KeptInToken    []string     `json:"kept_in_token,omitempty"`
	Permissions    []Permission `json:"permissions,omitempty"`
	Roles          []Role       `json:"roles,omitempty"`
}

// Permission is one permission, on some resources or on all.
type Permission struct {
	ID        string   `json:"permission_id"`
	Resources []string `json:"resources,omitempty"`
}

// Role is a named role, on a resource or on all.
type Role struct {
	Name     string `json:"name"`
	Resource string `json:"resource,omitempty"`
}
