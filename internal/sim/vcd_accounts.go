package sim

import (
	"cmp"
	"errors"
	"strings"
	"time"
)

// How a Cloud Director token is replaced (tokenRotation of its API).
const (
	RotationNever  = "never"
	RotationAlways = "always" // at each exchange, as for service accounts
	RotationOnce   = "once"   // at the next exchange, then never
)

// VCDToken is an API token of Cloud Director, or that of a service account.
// Empty fields are filled in by AddVCDToken.
type VCDToken struct {
	Name     string   `json:"name"`            // of the account here
	Value    string   `json:"token,omitempty"` // the one that counts now; default random
	Org      string   `json:"org,omitempty"`   // name; System for the provider; default "acme"
	User     string   `json:"user,omitempty"`
	Rotation string   `json:"rotation,omitempty"` // default RotationNever
	Life     Duration `json:"life,omitempty"`     // of its access tokens; default Options.Life
}

// vcdToken is a VCDToken with what happened to it.
type vcdToken struct {
	VCDToken
	generation int            // how often it was replaced
	old        map[string]int // the values that are dead, by their generation
}

// VCDUser is a user of Cloud Director who logs in with a password.
type VCDUser struct {
	Name     string `json:"name"`               // of the account here
	User     string `json:"user,omitempty"`     // default Name
	Org      string `json:"org,omitempty"`      // name; System for the provider; default "acme"
	Password string `json:"password,omitempty"` // default random

	Life        Duration `json:"life,omitempty"`         // of the access token; default Options.Life
	IdleMinutes int      `json:"idle_minutes,omitempty"` // until an idle session ends; default 30
	LockAfter   int      `json:"lock_after,omitempty"`   // wrong passwords in a row; default 5
	Locked      bool     `json:"locked,omitempty"`
}

// vcdUser is a VCDUser with what happened to it.
type vcdUser struct {
	VCDUser
	wrong int // passwords in a row
}

// AddVCDToken adds a Cloud Director token, or replaces the one of that name,
// whose Value, Org and User stay where t leaves them empty. It returns the
// token as it is now.
func (s *Server) AddVCDToken(t VCDToken) (VCDToken, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.putVCDToken(t)
}

func (s *Server) putVCDToken(t VCDToken) (VCDToken, error) {
	n := &vcdToken{old: map[string]int{}}
	if old := s.vcd.tokens[t.Name]; old != nil {
		*n = *old
	}
	t.Value = cmp.Or(t.Value, n.Value, randomWord(32))
	t.Org = cmp.Or(t.Org, n.Org, "acme")
	t.User = cmp.Or(t.User, n.User, t.Name)
	t.Rotation = cmp.Or(t.Rotation, RotationNever)
	switch t.Rotation {
	case RotationNever, RotationAlways, RotationOnce:
	default:
		return t, errors.New("rotation is never, always or once")
	}
	if t.Name == "" {
		return t, errors.New("the token needs a name")
	}
	if who, _ := s.findVCDToken(t.Value); who != nil && who.Name != t.Name {
		return t, errors.New("another account has or had this token")
	}
	delete(n.old, t.Value)
	n.VCDToken = t
	s.vcd.tokens[t.Name] = n
	return t, nil
}

// VCDToken returns the Cloud Director token of that name, with the value that
// counts now.
func (s *Server) VCDToken(name string) (VCDToken, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.vcd.tokens[name]
	if t == nil {
		return VCDToken{}, false
	}
	return t.VCDToken, true
}

// RevokeVCDToken forgets the token of that name. It reports whether there was one.
func (s *Server) RevokeVCDToken(name string) bool { return remove(s, s.vcd.tokens, name) }

// AddVCDUser adds a user, or replaces the one of that name, whose User, Org and
// Password stay where u leaves them empty. It returns the user as it is now.
func (s *Server) AddVCDUser(u VCDUser) (VCDUser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.putVCDUser(u)
}

func (s *Server) putVCDUser(u VCDUser) (VCDUser, error) {
	if u.Name == "" {
		return u, errors.New("the user needs a name")
	}
	var from VCDUser
	if old := s.vcd.users[u.Name]; old != nil {
		from = old.VCDUser
	}
	u.User = cmp.Or(u.User, from.User, u.Name)
	u.Org = cmp.Or(u.Org, from.Org, "acme")
	u.Password = cmp.Or(u.Password, from.Password, randomWord(24))
	u.IdleMinutes = cmp.Or(u.IdleMinutes, 30)
	u.LockAfter = cmp.Or(u.LockAfter, 5)
	s.vcd.users[u.Name] = &vcdUser{VCDUser: u}
	return u, nil
}

// VCDUser returns the user of that name.
func (s *Server) VCDUser(name string) (VCDUser, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.vcd.users[name]
	if u == nil {
		return VCDUser{}, false
	}
	return u.VCDUser, true
}

// EndSessions ends all Cloud Director sessions, as a restart of its cells may.
func (s *Server) EndSessions() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.vcd.sessions)
}

// SetVCDVersions sets the API versions that Cloud Director speaks, as an
// upgrade does. Versions below 37 are called deprecated.
func (s *Server) SetVCDVersions(versions ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.vcd.versions = versions
}

// findVCDToken returns the token with that value, and the value's generation.
// The caller holds s.mu.
func (s *Server) findVCDToken(value string) (*vcdToken, int) {
	for _, t := range s.vcd.tokens {
		if value != "" && t.Value == value {
			return t, t.generation
		}
		if generation, ok := t.old[value]; ok {
			return t, generation
		}
	}
	return nil, 0
}

// findVCDUser returns the user with that login name, user@org. The caller
// holds s.mu.
func (s *Server) findVCDUser(login string) *vcdUser {
	at := strings.LastIndexByte(login, '@')
	if at < 0 {
		return nil
	}
	for _, u := range s.vcd.users {
		if u.User == login[:at] && strings.EqualFold(u.Org, login[at+1:]) {
			return u
		}
	}
	return nil
}

// hasOrg reports whether any account is in that organization. The caller
// holds s.mu.
func (s *Server) hasOrg(org string) bool {
	for _, t := range s.vcd.tokens {
		if strings.EqualFold(t.Org, org) {
			return true
		}
	}
	for _, u := range s.vcd.users {
		if strings.EqualFold(u.Org, org) {
			return true
		}
	}
	return strings.EqualFold(org, "System")
}

// session is a Cloud Director session: what an access token belongs to.
type session struct {
	id, account, user, org string
	idle                   time.Duration
	used, end              time.Time
	proxyToken             string // made when it is asked for
}

func (x *session) dead(now time.Time) bool {
	return !now.Before(x.end) || now.Sub(x.used) >= x.idle
}
