package sim

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// App is an OAuth app that the simulator knows. Empty fields are filled in by
// AddApp.
type App struct {
	Name     string   `json:"name"` // of the account here
	ClientID string   `json:"client_id,omitempty"`
	Secret   string   `json:"secret,omitempty"`
	Org      string   `json:"org,omitempty"`    // GUID
	Scopes   []string `json:"scopes,omitempty"` // what access tokens may be asked for; empty: anything
	Perms    []string `json:"perms,omitempty"`  // claim perms
	Life     Duration `json:"life,omitempty"`   // of its access tokens; default Options.Life
}

// app is an App with what happened to it.
type app struct {
	App
	token *token // its access tokens are made like an API token's
}

// AddApp adds an OAuth app, or replaces the one of that name, whose ClientID,
// Secret and Org stay where a leaves them empty. It returns the app as it is now.
func (s *Server) AddApp(a App) (App, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.putApp(a)
}

func (s *Server) putApp(a App) (App, error) {
	if a.Name == "" {
		return a, errors.New("the app needs a name")
	}
	n := &app{token: &token{id: guid(), userID: guid(), created: s.o.Now()}}
	if old := s.apps[a.Name]; old != nil {
		*n = *old
	}
	a.ClientID = cmp.Or(a.ClientID, n.ClientID, randomWord(40))
	a.Secret = cmp.Or(a.Secret, n.Secret, randomSecret())
	a.Org = cmp.Or(a.Org, n.Org, guid())
	for name, o := range s.apps {
		if name != a.Name && o.ClientID == a.ClientID {
			return a, errors.New("another app has this client id")
		}
	}
	n.App = a
	n.token.APIToken = APIToken{Name: a.Name, Org: a.Org, User: a.ClientID, Scopes: a.Scopes, Perms: a.Perms, Life: a.Life}
	s.apps[a.Name] = n
	return a, nil
}

func (s *Server) appRoutes() {
	s.handle("POST "+cspBase+"/auth/authorize", endpoint{AppAuthorize, s.identifyApp, s.clientCredentials})
	s.handle("POST "+cspBase+"/auth/token", endpoint{AppToken, s.identifyApp, s.clientCredentials})
}

// client reads the client's id and secret (RFC 6749, section 2.3.1).
func (q *request) client() (id, secret string) {
	id, secret, _ = q.BasicAuth()
	decoded, err1 := url.QueryUnescape(id)
	secretDecoded, err2 := url.QueryUnescape(secret)
	if err1 != nil || err2 != nil {
		return "", ""
	}
	return decoded, secretDecoded
}

// findApp returns the app with that id. The caller holds s.mu.
func (s *Server) findApp(id string) *app {
	for _, a := range s.apps {
		if id != "" && a.ClientID == id {
			return a
		}
	}
	return nil
}

func (s *Server) identifyApp(q *request) string {
	id, _ := q.client()
	s.mu.Lock()
	who := unknownToken
	if a := s.findApp(id); a != nil {
		who = a.Name
	}
	s.mu.Unlock()
	s.checkType(q, who, "application/x-www-form-urlencoded")
	if q.form().Has("client_secret") {
		s.violation(q, who, "client_secret outside the Authorization header")
	}
	return who
}

// clientCredentials is the grant of that name (RFC 6749, section 4.4).
func (s *Server) clientCredentials(q *request) answer {
	id, secret := q.client()
	v := q.form()
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.findApp(id)
	switch {
	case a == nil || a.Secret != secret:
		return q.refuse(http.StatusUnauthorized, "invalid_client: Invalid client credentials")
	case v.Get("grant_type") != "client_credentials":
		return q.refuse(http.StatusBadRequest, "unsupported_grant_type: Unsupported grant type")
	case v.Has("orgId") && v.Get("orgId") != a.Org:
		return q.refuse(http.StatusBadRequest, "invalid_request: The app does not belong to this organization")
	}
	scopes := strings.Fields(v.Get("scope"))
	for _, scope := range scopes {
		if len(a.Scopes) > 0 && !slices.Contains(a.Scopes, scope) {
			return q.refuse(http.StatusBadRequest, "invalid_scope: Invalid scope")
		}
	}
	return jsonAnswer(http.StatusOK, s.grant(q, a.token, scopes))
}
