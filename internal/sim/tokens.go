package sim

import (
	"cmp"
	"errors"
	"time"
)

// APIToken is an API token that the simulator knows. Empty fields are filled
// in by AddToken.
type APIToken struct {
	Name  string `json:"name"`            // of the account: names the token here, not upstream
	Value string `json:"token,omitempty"` // the secret itself; default random

	Org       string   `json:"org,omitempty"`  // GUID
	User      string   `json:"user,omitempty"` // account name, like an e-mail address
	TokenName string   `json:"token_name,omitempty"`
	Scopes    []string `json:"scopes,omitempty"` // what access tokens may be asked for; empty: anything
	Perms     []string `json:"perms,omitempty"`  // claim perms

	// The API token's end: ExpiresAt, or ExpiresIn from when it is added (default
	// 180 days, as the console suggests), or Never.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	ExpiresIn Duration  `json:"expires_in,omitempty"`
	Never     bool      `json:"never,omitempty"`
	// TTL is the whole life, which says when the token was made; 180 days if
	// zero, or what is left of it where that is more.
	TTL Duration `json:"ttl,omitempty"`

	Deactivated bool     `json:"deactivated,omitempty"`
	Passcode    string   `json:"passcode,omitempty"` // of the second factor, needed for each exchange; empty: none
	Life        Duration `json:"life,omitempty"`     // of its access tokens; default Options.Life
	OpenID      bool     `json:"openid,omitempty"`   // answers hold an id_token
}

// defaultTTL is the life of an API token for which nothing else was chosen, as
// in the console.
const defaultTTL = 180 * 24 * time.Hour

// token is an APIToken with what happened to it.
type token struct {
	APIToken
	id, userID           string
	created, used        time.Time
	deactivatedOn        time.Time
	lastAccess, lastOpen string // the latest access and ID token, for Fault.SameToken
}

// AddToken adds an API token, or replaces the one of that name, whose Value,
// Org, User, TokenName and end stay where t leaves them empty. It returns the
// token as it is now.
func (s *Server) AddToken(t APIToken) (APIToken, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.putToken(t)
}

func (s *Server) putToken(t APIToken) (APIToken, error) {
	if t.Name == "" {
		return t, errors.New("the token needs a name")
	}
	now := s.o.Now()
	old := s.tokens[t.Name]
	n := &token{id: guid(), userID: guid(), created: now}
	if old != nil {
		*n = *old
	}
	from := n.APIToken
	t.Value = cmp.Or(t.Value, from.Value, randomSecret())
	t.Org = cmp.Or(t.Org, from.Org, guid())
	t.User = cmp.Or(t.User, from.User, t.Name+"@example.com")
	t.TokenName = cmp.Or(t.TokenName, from.TokenName, t.Name)
	for name, o := range s.tokens {
		if name != t.Name && o.Value == t.Value {
			return t, errors.New("another account has this token")
		}
	}
	switch {
	case t.ExpiresIn != 0:
		t.ExpiresAt, t.Never = now.Add(time.Duration(t.ExpiresIn)), false
	case t.Never:
		t.ExpiresAt = time.Time{}
	case t.ExpiresAt.IsZero() && !from.ExpiresAt.IsZero():
		t.ExpiresAt = from.ExpiresAt
	case t.ExpiresAt.IsZero():
		t.ExpiresAt = now.Add(defaultTTL)
	}
	moved := t.ExpiresIn != 0 || !t.Never && !t.ExpiresAt.Equal(from.ExpiresAt)
	if moved || t.TTL != 0 || t.Value != from.Value {
		n.created = now
		if ttl := cmp.Or(time.Duration(t.TTL), defaultTTL); !t.Never && t.ExpiresAt.Sub(now) < ttl {
			n.created = t.ExpiresAt.Add(-ttl)
		}
	}
	t.ExpiresIn = 0 // has become ExpiresAt
	if t.Deactivated != from.Deactivated {
		n.deactivatedOn = now
	}
	n.APIToken = t
	s.tokens[t.Name] = n
	return t, nil
}

// Token returns the API token of that name.
func (s *Server) Token(name string) (APIToken, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tokens[name]
	if t == nil {
		return APIToken{}, false
	}
	return t.APIToken, true
}

// Revoke forgets the API token of that name, as its owner does in the console.
// It reports whether there was one.
func (s *Server) Revoke(name string) bool { return remove(s, s.tokens, name) }

// find returns the token with that value. The caller holds s.mu.
func (s *Server) find(value string) *token {
	for _, t := range s.tokens {
		if value != "" && t.Value == value {
			return t
		}
	}
	return nil
}

// dead reports whether the server still knows the token at now.
func (t *token) dead(now time.Time) bool { return !t.Never && !now.Before(t.ExpiresAt) }
