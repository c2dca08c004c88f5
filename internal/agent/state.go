package agent

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
)

// Record is what the state file holds for a profile: everything but secrets.
type Record struct {
	Provider      string   `json:"provider"`
	Origin        string   `json:"origin"`
	Org           string   `json:"org,omitempty"`
	ClientID      string   `json:"client_id,omitempty"`
	User          string   `json:"user,omitempty"`
	CA            string   `json:"ca,omitempty"` // PEM
	Store         string   `json:"store"`
	Scope         []string `json:"scope,omitempty"`
	ResourceScope string   `json:"resource_scope,omitempty"`

	LoggedIn  time.Time `json:"logged_in_at"`         // tells one secret from the next, so to the nanosecond
	LoggedOut bool      `json:"logged_out,omitempty"` // the settings stay for the next login

	TokenName string           `json:"token_name,omitempty"`
	Username  string           `json:"username,omitempty"`
	Expiry    *provider.Expiry `json:"expiry,omitempty"` // the last known one: it can't be asked for after it
	CheckedAt time.Time        `json:"checked_at,omitzero"`
	CreatedAt time.Time        `json:"created_at,omitzero"` // the secret, by its server

	Deactivated bool `json:"deactivated,omitempty"` // so said the server at CheckedAt

	Refusal *Refusal `json:"refusal,omitempty"`
	// Unknown: the server said for good that it knows no such secret, when it
	// was asked about it. It says nothing of exchanges.
	Unknown *Refusal `json:"unknown,omitempty"`

	// Told is what each channel was last told about the secret.
	Told toldBy `json:"told,omitempty"`

	// Underway is when an exchange began whose answer has not arrived, where
	// the server may have replaced the secret in it; see Rotator.
	Underway time.Time `json:"underway,omitzero"`
	// Pending: the secret was stored before the server was asked about it.
	Pending bool `json:"pending,omitempty"`
	// Next is what a login under way makes of the profile; see settle.
	Next *Record `json:"next,omitempty"`

	// account is what the agent holds in memory for the secret. It is never
	// nil in a profile that is there.
	account *account
}

// Refusal is a permanent refusal of the stored secret. It is remembered until
// the secret is replaced.
type Refusal struct {
	Error *ipc.Error `json:"error"` // ipc.CodeRefused or ipc.CodePasscodeNeeded
	At    time.Time  `json:"at"`
}

// binding is what the secret of the profile must have been stored for.
func (r Record) binding() boundTo {
	b := provider.Binding{Provider: r.Provider, Origin: r.Origin, Org: r.Org, ClientID: r.ClientID, User: r.User}
	if r.CA != "" {
		sum := sha256.Sum256([]byte(r.CA))
		b.CASHA256 = hex.EncodeToString(sum[:])
	}
	return boundTo(b)
}

type boundTo provider.Binding

// differs names the first field in which the binding of a stored secret is
// another one; empty if none.
func (b boundTo) differs(stored provider.Binding) string {
	switch {
	case b.Provider != stored.Provider:
		return "provider"
	case b.Origin != stored.Origin:
		return "server"
	case b.Org != stored.Org:
		return "org"
	case b.ClientID != stored.ClientID:
		return "client id"
	case b.User != stored.User:
		return "user"
	case b.CASHA256 != stored.CASHA256:
		return "CA"
	}
	return ""
}

// contents is the state file. What is in force is never changed, only replaced.
type contents struct {
	Version  int                `json:"version"`
	Default  string             `json:"default,omitempty"`
	Profiles map[string]*Record `json:"profiles"`
	// Leftovers are items of stores that no profile has; see tidy.
	Leftovers []leftover `json:"leftovers,omitempty"`
}

const stateVersion = 1

// state is the state file and its copy in memory.
type state struct {
	file  StateFile
	clock Clock

	write   sync.Mutex               // one change at a time, held across the file
	current atomic.Pointer[contents] // nil until the file could be read
	raw     []byte                   // the file as it was read or written last; guarded by write
}

// load returns what is in force. A file that could not be read is tried again
// each time: whoever repairs it, or brings its folder back, need not restart
// the agent.
func (s *state) load() (*contents, *ipc.Error) {
	if c := s.current.Load(); c != nil {
		return c, nil
	}
	s.write.Lock()
	defer s.write.Unlock()
	return s.read()
}

// refresh is load for those who need what another agent may have written just
// now.
func (s *state) refresh() (*contents, *ipc.Error) {
	s.write.Lock()
	defer s.write.Unlock()
	return s.read()
}

// read reads the file, if it is not as it was. It is for those who hold write.
func (s *state) read() (*contents, *ipc.Error) {
	now := s.current.Load()
	b, err := s.file.Read()
	if now != nil && err == nil && (b == nil || bytes.Equal(b, s.raw)) {
		return now, nil // somebody who removes the file removes no profile
	}
	c := contents{Version: stateVersion, Profiles: map[string]*Record{}}
	if err == nil && b != nil {
		c, err = parseState(b)
	}
	if err != nil {
		return nil, errorf(ipc.CodeState, "repair it, or move it away and log in again",
			"the state file %s cannot be used: %v", s.file.Path(), err)
	}
	for name, r := range c.Profiles {
		if was := now.profile(name); was != nil && was.sameLogin(r) {
			r.account = was.account
			if was.Refusal != nil && r.Refusal == nil {
				r.account.pardon() // another agent found the secret to be good
			}
		} else {
			r.account = r.newAccount(name, s.clock.Now())
		}
	}
	s.raw = b
	s.current.Store(&c)
	return &c, nil
}

// profile returns a profile of contents that may be nil.
func (c *contents) profile(name string) *Record {
	if c == nil {
		return nil
	}
	return c.Profiles[name]
}

// sameLogin reports whether two records are of the same secret.
func (r *Record) sameLogin(o *Record) bool {
	return r.LoggedIn.Equal(o.LoggedIn) && r.LoggedOut == o.LoggedOut && r.Store == o.Store && r.binding() == o.binding()
}

func parseState(b []byte) (contents, error) {
	var c contents
	if err := json.Unmarshal(b, &c); err != nil {
		return contents{}, fmt.Errorf("it is damaged: %w", err)
	}
	if c.Version != stateVersion {
		return contents{}, fmt.Errorf("it is of version %d, and this agent reads version %d", c.Version, stateVersion)
	}
	if c.Profiles == nil {
		c.Profiles = map[string]*Record{}
	}
	for name, r := range c.Profiles {
		if bad := ipc.CheckName(name); bad != nil || r == nil {
			return contents{}, fmt.Errorf("it has a profile %q that can't be", name)
		}
		for _, f := range []**Refusal{&r.Refusal, &r.Unknown} {
			if !(*f).valid() {
				*f = nil
			}
		}
	}
	return c, nil
}

// get returns the settings of a profile; an empty name means the default one.
func (s *state) get(name string) (Record, *ipc.Error) {
	c, bad := s.load()
	if bad != nil {
		return Record{}, bad
	}
	if name == "" {
		name = c.Default
	}
	if name == "" {
		if len(c.Profiles) == 0 {
			return Record{}, errorf(ipc.CodeNoSuchProfile, "cspctl login", "there is no profile yet")
		}
		return Record{}, errorf(ipc.CodeNoSuchProfile, "name a profile, or choose one: cspctl profile use NAME", "there is no default profile")
	}
	r := c.Profiles[name]
	if r == nil {
		return Record{}, errNoProfile(name)
	}
	return *r, nil
}

// sorted returns all profiles in the order of their names.
func (c *contents) sorted() []*Record {
	list := make([]*Record, 0, len(c.Profiles))
	for _, name := range slices.Sorted(maps.Keys(c.Profiles)) {
		list = append(list, c.Profiles[name])
	}
	return list
}

// change applies f to a copy, writes the copy, and only then makes it the
// truth: a state that could not be written never was. f may refuse.
func (s *state) change(f func(*contents) *ipc.Error) *ipc.Error {
	s.write.Lock()
	defer s.write.Unlock()
	unlock, err := s.file.Lock()
	if err != nil {
		return errorf(ipc.CodeState, "make room, or make the folder writable, and try again",
			"the state file cannot be locked: %v", err)
	}
	defer unlock()
	now, bad := s.read()
	if bad != nil {
		return bad
	}
	next := &contents{Version: stateVersion, Default: now.Default, Profiles: make(map[string]*Record, len(now.Profiles)), Leftovers: now.Leftovers}
	for name, r := range now.Profiles {
		c := *r
		next.Profiles[name] = &c
	}
	if bad := f(next); bad != nil {
		return bad
	}
	b, err := json.MarshalIndent(next, "", "  ")
	if err == nil {
		b = append(b, '\n')
		err = s.file.Write(b)
	}
	if err != nil {
		return errorf(ipc.CodeState, "make room, or make the folder writable, and try again",
			"the state file cannot be written: %v", err)
	}
	s.raw = b
	s.current.Store(next)
	return nil
}
