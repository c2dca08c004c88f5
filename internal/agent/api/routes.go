package api

import (
	"net/http"
	"strconv"

	"github.com/cspctl/cspctl/internal/ipc"
)

// route is one path of the wire. Who may use it is part of its definition, so
// that no path can be added without that decision.
type route struct {
	pattern string
	roles   Role // any of these
	handle  handler
	action  string // what it is called in the audit log
	reads   bool   // changes nothing and gives no token; see record
	always  bool   // answers even where the settings can't be used
}

// actionToken is the action of those who ask for tokens.
const actionToken = "token"

var routes = []route{
	{pattern: "GET /v1/token", roles: Token | Owner, handle: getToken, action: actionToken},
	{pattern: "POST /v1/token", roles: Token | Owner, handle: postToken, action: actionToken},
	{pattern: "POST /v1/runs", roles: Token | Owner, handle: run, action: actionRun},
	{pattern: "GET /v1/hosts", roles: Token | Owner, handle: hosts, action: "hosts", reads: true},
	{pattern: "GET /v1/status", roles: Observe | Owner, handle: status, action: "status", reads: true, always: true},
	{pattern: "GET /v1/profiles", roles: Token | Owner, handle: profiles, action: "profiles", reads: true, always: true},
	{pattern: "GET /v1/profiles/{name}", roles: Owner, handle: profile, action: "profile", reads: true, always: true},
	{pattern: "GET /v1/profile", roles: Owner, handle: namedProfile, action: "profile", reads: true, always: true},
	{pattern: "PUT /v1/profiles/{name}", roles: Owner, handle: login, action: "login"},
	{pattern: "DELETE /v1/profiles/{name}", roles: Owner, handle: remove, action: "remove"},
	{pattern: "POST /v1/profiles/{name}/logout", roles: Owner, handle: logout, action: "logout"},
	{pattern: "POST /v1/profiles/{name}/rename", roles: Owner, handle: rename, action: "rename"},
	{pattern: "POST /v1/profiles/{name}/use", roles: Owner, handle: use, action: "use"},
	{pattern: "GET /v1/profiles/{name}/details", roles: Owner, handle: details, action: "details"},
	{pattern: "GET /v1/profiles/{name}/inspect", roles: Owner, handle: inspect, action: "inspect"},
	{pattern: "GET /v1/sinks", roles: Owner, handle: sinks, action: "sinks", reads: true, always: true},
	{pattern: "PUT /v1/sinks", roles: Owner, handle: addSink, action: "sink add"},
	{pattern: "DELETE /v1/sinks", roles: Owner, handle: removeSink, action: "sink remove"},
	{pattern: "GET /v1/expiry", roles: Observe | Owner, handle: expiry, action: "expiry", reads: true},
	{pattern: "GET /v1/events", roles: Observe | Owner, handle: events, action: "events", reads: true},
	{pattern: "GET /v1/tools", roles: Token | Owner, handle: knownTools, action: "tools", reads: true},
	{pattern: "GET /metrics", roles: Observe | Owner, handle: metrics, action: "metrics", reads: true, always: true},
	{pattern: "POST /v1/lock", roles: Owner, handle: lock, action: "lock"},
	{pattern: "POST /v1/unlock", roles: Owner, handle: unlock, action: "unlock"},
}

// done answers calls that have nothing to say.
type done struct{}

func getToken(s *Server, c *call) (any, error) {
	q := c.URL.Query()
	req := ipc.TokenRequest{Profile: q.Get("profile"), MinTTL: q.Get("min_ttl"), Kind: q.Get("kind"), Warnings: q.Get("warnings"),
		MaxAge: q.Get("max_age"), Caller: q.Get("caller")}
	for name, to := range map[string]*bool{"fresh": &req.Fresh, "interactive": &req.Interactive} {
		v := q.Get(name)
		if v == "" {
			continue
		}
		on, err := strconv.ParseBool(v)
		if err != nil {
			return nil, &ipc.Error{Code: ipc.CodeBadRequest, Message: "the value of " + name + " is neither true nor false"}
		}
		*to = on
	}
	for _, name := range []string{"passcode", "scope", "resource_scope"} {
		if q.Has(name) {
			return nil, &ipc.Error{Code: ipc.CodeBadRequest, Message: name + " does not go into a query", Hint: "send it in the JSON body of POST /v1/token"}
		}
	}
	return s.token(c, req)
}

func postToken(s *Server, c *call) (any, error) {
	var req ipc.TokenRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	return s.token(c, req)
}

// token is the one way to a token, whoever asks.
func (s *Server) token(c *call, req ipc.TokenRequest) (ipc.Token, error) {
	c.about.profile, c.about.kind = req.Profile, req.Kind
	if s.Role == Owner {
		return s.Agent.Token(c.Context(), req)
	}
	req, err := s.grant(c, req)
	if err != nil {
		return ipc.Token{}, err
	}
	t, err := s.Agent.Token(c.Context(), req)
	switch {
	case err == nil:
		return grantedToken(t), nil
	case codeOf(err) == ipc.CodeNoSuchProfile:
		return ipc.Token{}, s.noGrant(c, req.Profile)
	}
	c.about.code = codeOf(err)
	return ipc.Token{}, grantedError(err, req.Profile)
}

func status(s *Server, c *call) (any, error) {
	st := s.Agent.Status(c.Context())
	st.Socket = s.Socket
	if s.Config != nil {
		st.Config = s.Config()
	}
	if s.Role == Observe {
		return observed(st), nil
	}
	if s.Sinks != nil {
		st.Sinks = s.Sinks.Own()
	}
	return st, nil
}

func profiles(s *Server, c *call) (any, error) {
	if s.Role == Token {
		return s.granted(c)
	}
	return s.Agent.Profiles()
}

func profile(s *Server, c *call) (any, error) { return s.Agent.Profile(c.PathValue("name")) }

// namedProfile is profile with the name in the query; an empty one means the
// default profile.
func namedProfile(s *Server, c *call) (any, error) {
	return s.Agent.Profile(c.URL.Query().Get("name"))
}

func login(s *Server, c *call) (any, error) {
	var req ipc.LoginRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	if err := checkSizes(req); err != nil {
		return nil, err
	}
	release, err := s.makeRoom(c.PathValue("name"))
	if err != nil {
		return nil, err
	}
	defer release()
	before, err := s.Agent.Profile(c.PathValue("name"))
	c.about.replaced = err == nil && !before.LoggedOut
	return s.Agent.Login(c.Context(), c.PathValue("name"), req)
}

// interactive reports whether a person is waiting, so that a keychain may ask.
func (c *call) interactive() bool {
	on, _ := strconv.ParseBool(c.URL.Query().Get("interactive"))
	return on
}

func remove(s *Server, c *call) (any, error) {
	name := c.PathValue("name")
	err := s.Agent.Remove(c.Context(), name, c.interactive())
	if err == nil && s.Sinks != nil {
		s.Sinks.Removed(name)
	}
	return done{}, err
}

func logout(s *Server, c *call) (any, error) {
	err := s.Agent.Logout(c.Context(), c.PathValue("name"), c.interactive())
	s.settle(c)
	return done{}, err
}

func rename(s *Server, c *call) (any, error) {
	var req ipc.RenameRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	c.about.to = req.To
	err := s.Agent.Rename(c.Context(), c.PathValue("name"), req.To, c.interactive())
	if err == nil && s.Runs != nil {
		s.Runs.Renamed(c.PathValue("name"))
	}
	if err == nil && s.Sinks != nil {
		s.Sinks.Renamed(c.PathValue("name"), req.To)
	}
	return done{}, err
}

func use(s *Server, c *call) (any, error) {
	return done{}, s.Agent.Use(c.PathValue("name"))
}

func details(s *Server, c *call) (any, error) {
	return s.Agent.Details(c.Context(), c.PathValue("name"), c.interactive())
}

func inspect(s *Server, c *call) (any, error) {
	return s.Agent.Inspect(c.Context(), c.PathValue("name"), c.interactive())
}

func expiry(s *Server, c *call) (any, error) {
	return s.Agent.Expiry(c.Context(), c.URL.Query()["profile"])
}

func lock(s *Server, c *call) (any, error) {
	var req ipc.LockRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	r, err := s.Agent.Lock(c.Context(), req.Passphrase.Text, ipc.LockAsked)
	s.settle(c)
	return r, err
}

func unlock(s *Server, c *call) (any, error) {
	var req ipc.UnlockRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	return done{}, s.Agent.Unlock(c.Context(), req.Passphrase.Text, req.Choose)
}

var _ http.Handler = (*Server)(nil)
