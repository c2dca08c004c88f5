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

	LoggedIn  time.Time `json:"logged_in_at"`
	LoggedOut bool      `json:"logged_out,omitempty"` // the settings stay for the next login

	TokenName string           `json:"token_name,omitempty"`
	Username  string           `json:"username,omitempty"`
	Expiry    *provider.Expiry `json:"expiry,omitempty"` // the last known one: it can't be asked for after it
	CheckedAt time.Time        `json:"checked_at,omitzero"`

	Refusal *Refusal `json:"refusal,omitempty"`
}

// Refusal is a permanent refusal of the stored secret. It is remembered until
// the secret is replaced.
type Refusal struct {
	Class provider.Class `json:"class"`
	Error *ipc.Error     `json:"error"`
	At    time.Time      `json:"at"`
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

// contents is the state file.
type contents struct {
	Version  int                `json:"version"`
	Default  string             `json:"default,omitempty"`
	Profiles map[string]*Record `json:"profiles"`
}

const stateVersion = 1

// state is the state file and its copy in memory.
type state struct {
	file StateFile
	err  *ipc.Error // the file could not be read: nothing is served or written

	write sync.Mutex   // one change at a time, held across the file
	mu    sync.RWMutex // guards the rest, held for moments
	contents
}

func openState(file StateFile) *state {
	s := &state{file: file, contents: contents{Version: stateVersion, Profiles: map[string]*Record{}}}
	b, err := file.Read()
	if err == nil && b != nil {
		s.contents, err = parseState(b)
	}
	if err != nil {
		s.err = errorf(ipc.CodeState, "repair it, or move it away and log in again, then restart the agent",
			"the state file %s cannot be used: %v", file.Path(), err)
	}
	return s
}

func parseState(b []byte) (contents, error) {
	var c contents
	d := json.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(&c); err != nil {
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
	}
	return c, nil
}

// get returns the settings of a profile; an empty name means the default one.
func (s *state) get(name string) (string, Record, *ipc.Error) {
	if s.err != nil {
		return "", Record{}, s.err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if name == "" {
		name = s.Default
	}
	if name == "" {
		if len(s.Profiles) == 0 {
			return "", Record{}, errorf(ipc.CodeNoSuchProfile, "cspctl login", "there is no profile yet")
		}
		return "", Record{}, errorf(ipc.CodeNoSuchProfile, "name a profile, or choose one: cspctl profile use NAME", "there is no default profile")
	}
	r := s.Profiles[name]
	if r == nil {
		return "", Record{}, errNoProfile(name)
	}
	return name, *r, nil
}

// names returns the names of all profiles in order, and the default's.
func (s *state) names() ([]string, string) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Sorted(maps.Keys(s.Profiles)), s.Default
}

// change applies f to a copy, writes the copy, and only then makes it the
// truth: a state that could not be written never was. f may refuse.
func (s *state) change(f func(*contents) *ipc.Error) *ipc.Error {
	if s.err != nil {
		return s.err
	}
	s.write.Lock()
	defer s.write.Unlock()
	next := contents{Version: stateVersion, Default: s.Default, Profiles: make(map[string]*Record, len(s.Profiles))}
	for name, r := range s.Profiles {
		c := *r
		next.Profiles[name] = &c
	}
	if err := f(&next); err != nil {
		return err
	}
	b, err := json.MarshalIndent(next, "", "  ")
	if err == nil {
		err = s.file.Write(append(b, '\n'))
	}
	if err != nil {
		return errorf(ipc.CodeState, "make room, or make the folder writable, and try again",
			"the state file cannot be written: %v", err)
	}
	s.mu.Lock()
	s.contents = next
	s.mu.Unlock()
	return nil
}
