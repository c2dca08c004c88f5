package api

import (
	"net/url"

	"path/filepath"
	"runtime"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/ipc/listen"
)

// Role is what the users of a socket may do. Each socket has exactly one.
type Role int

const (
	// Observe may read expiry, status and metrics, and never a token.
	Observe Role = 1 << iota
	// Token may ask for tokens.
	Token
	// Owner may do everything.
	Owner
)

// String is the role's name in the settings, and in the audit log.
func (r Role) String() string {
	switch r {
	case Observe:
		return "observe"
	case Token:
		return "token"
	}
	return "owner"
}

// answer has the route's handler answer, if the socket's role allows it.
func (s *Server) answer(c *call, r route) (any, error) {
	if s.Role&r.roles == 0 {
		s.refused(c.Request, ipc.RefusedRole)
		c.about.reason = reasonRole
		return nil, s.notForRole(c)
	}
	if !listen.StillAdmitted(c.Context()) {
		s.refused(c.Request, ipc.RefusedPeer)
		return nil, &ipc.Error{Code: ipc.CodeNotAllowed, Message: "this socket does not serve your user any more", Hint: askAdmin}
	}
	// url.URL.Query leaves out what it can't read: without its profile a request
	// would be for another one.
	if _, err := url.ParseQuery(c.URL.RawQuery); err != nil {
		return nil, &ipc.Error{Code: ipc.CodeBadRequest, Message: "the query can't be read: it has a semicolon or a bad % in it", Hint: "encode its values, as curl does with -G --data-urlencode"}
	}
	if s.Unusable != nil && !r.always {
		if bad := s.Unusable(); bad != nil && s.Role == Owner {
			return nil, bad
		} else if bad != nil {
			return nil, &ipc.Error{Code: bad.Code, Message: "the agent's settings can't be used", Hint: askAdmin}
		}
	}
	return r.handle(s, c)
}

// notForRole tells what the socket is for instead.
func (s *Server) notForRole(c *call) error {
	e := &ipc.Error{Code: ipc.CodeNotAllowed, Message: "this socket is for monitoring: expiry, status, metrics and events (its role is observe)",
		Hint: "ask on the owner's socket, or " + askAdmin}
	if s.Role == Token {
		e.Message = "this socket gives tokens and nothing else (its role is token)"
	}
	if c.peer.UID == 0 && runtime.GOOS != "windows" {
		e.Hint = "root asks on the owner's socket: " + s.ownersSocket()
	}
	return e
}

// ownersSocket is where the system service's administrator asks, in the words of
// a shell.
func (s *Server) ownersSocket() string {
	return ipc.EnvSocket + "=" + filepath.Join(filepath.Dir(s.Socket), "agent.sock")
}
