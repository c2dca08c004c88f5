package api

import (
	"fmt"

	"github.com/cspctl/cspctl/internal/ipc"
)

// The bounds of what a login stores. The state is read as a whole at each
// start, and shown in replies that have a bound of their own.
const (
	maxProfiles      = 256
	maxText          = 1 << 10  // of an org, a client id, a user, a server, in bytes
	maxScope         = 4 << 10  // of all scopes together
	maxResourceScope = 16 << 10 // of the resource scope
)

// checkSizes refuses settings that are too long.
func checkSizes(req ipc.LoginRequest) error {
	scope := 0
	for _, s := range req.Scope {
		scope += len(s) + len(" ")
	}
	for _, f := range []struct {
		name      string
		size, max int
	}{
		{"server", len(req.Server), maxText}, {"org", len(req.Org), maxText},
		{"client id", len(req.ClientID), maxText}, {"user", len(req.User), maxText},
		{"scope", scope, maxScope}, {"resource scope", len(req.ResourceScope), maxResourceScope},
	} {
		if f.size > f.max {
			return &ipc.Error{Code: ipc.CodeBadRequest,
				Message: fmt.Sprintf("the %s has %d bytes, and may have %d", f.name, f.size, f.max),
				Hint:    "give a shorter one"}
		}
	}
	return nil
}

// makeRoom refuses a login that would make one profile too many. Until release
// is called, the profile counts as if it were there.
func (s *Server) makeRoom(name string) (release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, err := s.Agent.Profiles()
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, p := range all.Profiles {
		names[p.Name] = true
	}
	for n := range s.coming {
		names[n] = true
	}
	if !names[name] && len(names) >= maxProfiles {
		return nil, &ipc.Error{Code: ipc.CodeBadRequest, Message: fmt.Sprintf("there are %d profiles already", maxProfiles),
			Hint: "remove one that nobody needs: cspctl profile remove NAME"}
	}
	s.coming[name]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.coming[name]--; s.coming[name] == 0 {
			delete(s.coming, name)
		}
	}, nil
}

// tooLong answers instead of a reply that is over the bound of the wire, which
// no client would take.
func tooLong(size, most int) *ipc.Error {
	return &ipc.Error{Code: ipc.CodeInternal,
		Message: fmt.Sprintf("the answer has %d KiB, and may have %d", size>>10, most>>10),
		Hint:    "ask for less: cspctl profile show NAME, and cspctl profile remove NAME for what nobody needs"}
}
