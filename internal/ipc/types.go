package ipc

import (
	"time"

	"github.com/cspctl/cspctl/internal/secret"
)

// The headers of the wire. Token replies repeat the essentials in headers, so
// that the plain-text form (Accept: text/plain, the body is the token alone)
// loses nothing.
const (
	HeaderVersion       = "Csp-Agent-Version"  // on every reply
	HeaderClientVersion = "Csp-Client-Version" // on every request of cspctl
	HeaderProfile       = "Csp-Profile"
	HeaderProvider      = "Csp-Provider"
	HeaderExpiresAt     = "Csp-Expires-At" // of the token in the body, RFC 3339 UTC
	HeaderWarning       = "Csp-Warning"    // one line for the person who asked
	HeaderWarningStage  = "Csp-Warning-Stage"
)

// Host is the only Host header that the agent accepts: a name that no browser
// can resolve to it.
const Host = "agent"

// Bounds of the wire, in bytes.
const (
	MaxRequestBody = 64 << 10
	MaxReplyBody   = 256 << 10
	MaxHeader      = 16 << 10
)

// The kinds of token that can be asked for.
const (
	KindAccess = "access"
	KindID     = "id"
	KindProxy  = "proxy" // of a Cloud Director session: a password for its proxies, no bearer token
)

// When a person is to be told of a warning that comes along with a token.
const (
	WarningsAlways = "always" // with each one, while a stage lasts
	WarningsAuto   = "auto"   // once a day for each stage: somebody is looking
	WarningsOff    = "off"
)

// AgeAtStart is the MaxAge for a program that starts, and may never ask again: 25
// of 30 minutes are left at least, and a loop of programs costs one exchange in
// that time.
const AgeAtStart = "5m"

// TokenRequest asks for a token: the query of GET /v1/token, or, where a
// passcode or scope goes along, the JSON body of POST /v1/token.
type TokenRequest struct {
	Profile string `json:"profile,omitempty"` // empty: the default one
	// MinTTL is a Go duration, also with d for days: the life that the token
	// must have left. Empty: the default floor.
	MinTTL string `json:"min_ttl,omitempty"`
	Kind   string `json:"kind,omitempty"`  // KindAccess if empty
	Fresh  bool   `json:"fresh,omitempty"` // a new exchange, whatever is cached
	// MaxAge is the age, written like MinTTL, from which on a cached token is
	// replaced first. Where that can't be had, the older one is the answer
	// while it is good. Less than a minute counts as a minute.
	MaxAge string `json:"max_age,omitempty"`
	// Caller names who will use the token, where that one only asks again before
	// it expires if a server refused it: kubectl does (see KUBERNETES_EXEC_INFO).
	// A second request of the same caller is one with a MaxAge of a minute. At
	// most 64 characters; the agent knows callers apart and nothing more.
	Caller string `json:"caller,omitempty"`
	// Interactive: a person is waiting, so a keychain may ask for its password.
	Interactive bool `json:"interactive,omitempty"`
	// Warnings is WarningsAlways (also if empty), WarningsAuto or WarningsOff.
	// It decides about Warning.Silent; in the plain-text form, silent ones are
	// left out.
	Warnings string `json:"warnings,omitempty"`

	Passcode      secret.Wire `json:"passcode,omitzero"`
	Scope         []string    `json:"scope,omitempty"`
	ResourceScope string      `json:"resource_scope,omitempty"`

	// Spare is never sent: the agent sets it for those who may have tokens of a
	// profile and do not own it. They can't have the server asked as often as
	// they like, by Fresh or by MinTTL.
	Spare bool `json:"-"`

	// HalfLife is never sent: the agent sets it for clients that keep a token as
	// long as they like. The token has half of its life left, where that can be
	// had.
	HalfLife bool `json:"-"`
}

// Token answers a TokenRequest.
type Token struct {
	AccessToken secret.Wire `json:"access_token"` // of the kind asked for
	TokenType   string      `json:"token_type"`   // Bearer
	Kind        string      `json:"kind"`
	Profile     string      `json:"profile"`
	Provider    string      `json:"provider"`
	Scope       string      `json:"scope,omitempty"`
	ExpiresAt   time.Time   `json:"expires_at,omitzero"`  // by this machine's clock; missing: the server did not say
	ExpiresIn   int64       `json:"expires_in,omitempty"` // seconds left, rounded down
	Warning     *Warning    `json:"warning,omitempty"`

	// GoodFor is never sent: for how long the token is given to those who ask for
	// no life in particular.
	GoodFor time.Duration `json:"-"`

	Proxy *ProxyToken `json:"proxy,omitempty"` // of KindProxy alone
}

// ProxyToken is what the server says about a token of KindProxy.
type ProxyToken struct {
	ID              string `json:"id,omitempty"`
	Name            string `json:"name,omitempty"`
	Type            string `json:"type,omitempty"` // PROXY or EXTENSION
	Owner           string `json:"owner,omitempty"`
	Org             string `json:"org,omitempty"`
	Username        string `json:"username,omitempty"`
	RequireRotation *bool  `json:"require_rotation"` // null: not said; it concerns refresh tokens alone
}

// Warning is something a person should act on before it breaks.
type Warning struct {
	Stage   string `json:"stage"`            // 30d ... 1h, expired, deactivated, refused
	Message string `json:"message"`          // one line
	Silent  bool   `json:"silent,omitempty"` // nobody is to be told now; see TokenRequest.Warnings
}

// LoginRequest is the body of PUT /v1/profiles/{name}: settings and secret.
type LoginRequest struct {
	Provider      string      `json:"provider,omitempty"`
	Server        string      `json:"server,omitempty"`
	Org           string      `json:"org,omitempty"`
	ClientID      string      `json:"client_id,omitempty"`
	User          string      `json:"user,omitempty"`
	Store         string      `json:"store,omitempty"`
	CA            string      `json:"ca,omitempty"` // PEM, never a path
	Scope         []string    `json:"scope,omitempty"`
	ResourceScope string      `json:"resource_scope,omitempty"`
	Secret        secret.Wire `json:"secret"`
	Passcode      secret.Wire `json:"passcode,omitzero"`
	Default       bool        `json:"default,omitempty"`   // make it the default profile
	Replace       bool        `json:"replace,omitempty"`   // even if it belongs to another org than before
	NoVerify      bool        `json:"no_verify,omitempty"` // store without asking the server
	Interactive   bool        `json:"interactive,omitempty"`
}

// LoginResult answers a LoginRequest.
type LoginResult struct {
	Profile  Profile  `json:"profile"`
	Verified bool     `json:"verified"` // details and one exchange succeeded
	Warnings []string `json:"warnings,omitempty"`
}

// Profile is a named credential, without the credential.
type Profile struct {
	Name      string    `json:"name"`
	Default   bool      `json:"default"`
	Provider  string    `json:"provider"`
	Server    string    `json:"server"` // the origin
	Org       string    `json:"org,omitempty"`
	ClientID  string    `json:"client_id,omitempty"`
	User      string    `json:"user,omitempty"`
	Store     string    `json:"store"`
	CASHA256  string    `json:"ca_sha256,omitempty"`
	Scope     []string  `json:"scope,omitempty"`
	LoggedIn  time.Time `json:"logged_in_at,omitzero"`
	LoggedOut bool      `json:"logged_out,omitempty"` // the settings are there, the secret is not
	TokenName string    `json:"token_name,omitempty"` // as the console shows it
	Username  string    `json:"username,omitempty"`   // whose API token it is
	APIToken  *Expiry   `json:"api_token,omitempty"`  // nil: the system tells nothing
	RenewURL  string    `json:"renew_url,omitempty"`  // the page where a new secret is made
}

// Expiry is what is known of the end of an API token.
type Expiry struct {
	// ExpiresAt is missing if the token never expires, or if nothing is known.
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
	Never     bool       `json:"never"`
	CheckedAt time.Time  `json:"checked_at"`          // when the server said so
	CreatedAt time.Time  `json:"created_at,omitzero"` // when the token was made; missing if not known
}

// Profiles answers GET /v1/profiles.
type Profiles struct {
	Profiles []Profile `json:"profiles"` // sorted by name
}

// RenameRequest is the body of POST /v1/profiles/{name}/rename.
type RenameRequest struct {
	To string `json:"to"`
}

// LockRequest is the body of POST /v1/lock.
type LockRequest struct {
	// Passphrase is to unlock the agent. It is needed where the file store has
	// none, and not looked at where it has.
	Passphrase secret.Wire `json:"passphrase,omitzero"`
}

// LockResult answers a LockRequest.
type LockResult struct {
	Since      time.Time `json:"locked_since"`
	UnlockedBy string    `json:"unlocked_by"`              // store or passphrase
	Already    bool      `json:"already_locked,omitempty"` // nothing was changed
}

// What unlocks a locked agent.
const (
	UnlockedByStore = "store"      // the file store's passphrase
	UnlockedByOwn   = "passphrase" // the one that was given with the lock
)

// UnlockRequest is the body of POST /v1/unlock. Without a passphrase it asks
// which one is needed.
type UnlockRequest struct {
	Passphrase secret.Wire `json:"passphrase,omitzero"` // of the lock, or of the file store
	Choose     bool        `json:"choose,omitempty"`    // it becomes the passphrase, if there is none yet
}

// Status answers GET /v1/status.
type Status struct {
	Version     string          `json:"version"`
	PID         int             `json:"pid"`
	StartedAt   time.Time       `json:"started_at"`
	Socket      string          `json:"socket"`
	Locked      bool            `json:"locked"` // nothing is given out
	LockedSince *time.Time      `json:"locked_since,omitempty"`
	Config      ConfigStatus    `json:"config"`
	Stores      []StoreStatus   `json:"stores"`
	Profiles    []ProfileStatus `json:"profiles"` // sorted by name
	Sinks       []Sink          `json:"sinks,omitempty"`
}

// ConfigStatus is the condition of the settings file.
type ConfigStatus struct {
	Path  string `json:"path"`
	Error string `json:"error,omitempty"` // with the line
	Kept  bool   `json:"kept,omitempty"`  // the settings before it stay in force

	ReadAt time.Time `json:"read_at,omitzero"` // when the file was read last
}

// StoreStatus is the condition of one store.
type StoreStatus struct {
	Kind   string `json:"kind"`
	Status string `json:"status"` // ready, locked or unavailable
	Detail string `json:"detail,omitempty"`
	Hint   string `json:"hint,omitempty"`
}

// The states of a profile.
const (
	StateReady     = "ready"    // a good token is cached
	StateIdle      = "idle"     // none is cached, none was asked for of late
	StateFailing   = "failing"  // the last exchange failed, and the next may succeed
	StateRefused   = "refused"  // the server refuses the secret for good
	StatePasscode  = "passcode" // each exchange needs a one-time passcode
	StateLoggedOut = "logged out"
)

// ProfileStatus is a profile and what the agent does for it.
type ProfileStatus struct {
	Profile
	State        string       `json:"state"`
	Deactivated  bool         `json:"deactivated,omitempty"`  // the API token, by its owner, in the console
	AccessToken  *TokenStatus `json:"access_token,omitempty"` // nil: none is cached
	LastExchange *time.Time   `json:"last_exchange_at,omitempty"`
	LastError    *Error       `json:"last_error,omitempty"` // nil once an exchange succeeded
	RetryAt      *time.Time   `json:"retry_at,omitempty"`   // no exchange before this
	Exchanges    int64        `json:"exchanges"`            // since the agent started
	Hits         int64        `json:"cache_hits"`
	Misses       int64        `json:"cache_misses"` // calls that needed an exchange, or were refused one
}

// TokenStatus is the life of a cached access token.
type TokenStatus struct {
	ObtainedAt time.Time  `json:"obtained_at"`
	ExpiresAt  time.Time  `json:"expires_at"`
	RenewAt    *time.Time `json:"renew_at,omitempty"` // nil: not while nobody asks
}

// Error is the body of every reply that is not a success.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`              // one line, lower case, no full stop
	Hint    string `json:"hint,omitempty"`       // what to do
	Retry   int64  `json:"retry_in,omitempty"`   // seconds until another try makes sense
	Request string `json:"request_id,omitempty"` // the upstream server's name for the call

	Err error `json:"-"` // the cause; may be nil, and is never sent
}

func (e *Error) Error() string { return e.Message }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Code names an error for programs. Codes are never renamed.
type Code string

const (
	CodeBadRequest       Code = "bad_request"      // wrong usage
	CodeBadProfileName   Code = "bad_profile_name" // not a name that a profile can have
	CodeNoSuchProfile    Code = "no_such_profile"
	CodeNoDetails        Code = "no_details"    // the system tells nothing about its secrets
	CodeNotLoggedIn      Code = "not_logged_in" // the profile is there, its secret is not, or is bound elsewhere
	CodeProfileExists    Code = "profile_exists"
	CodeOrgDiffers       Code = "org_differs" // the new secret belongs to another org
	CodeRefused          Code = "credential_refused"
	CodePasscodeNeeded   Code = "passcode_needed"
	CodeRefusedForNow    Code = "refused_for_now"
	CodeUnreachable      Code = "server_unreachable" // or failing
	CodeWrongServer      Code = "wrong_server"
	CodeMinTTL           Code = "min_ttl_unmet"
	CodeLocked           Code = "locked"       // by cspctl lock, or with the screen
	CodeRateLimited      Code = "rate_limited" // after wrong passphrases
	CodeStoreLocked      Code = "store_locked"
	CodeStoreAbsent      Code = "store_unavailable"
	CodePassphraseNotSet Code = "passphrase_not_set" // the file store waits for its first passphrase
	CodeState            Code = "state_unusable"     // a full disk, a read-only home, a damaged file
	CodeConfigInvalid    Code = "config_invalid"
	CodeNotAllowed       Code = "not_allowed" // the socket's role, or the peer, may not do this
	CodeBusy             Code = "busy"        // too many requests at once
	CodeNotFound         Code = "not_found"   // no such path
	CodeInternal         Code = "internal"

	// CodeAgent is never sent: it marks an agent that cannot be reached, or
	// that is not ours.
	CodeAgent Code = "agent_unreachable"
)
