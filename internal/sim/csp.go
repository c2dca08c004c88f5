package sim

import (
	"bytes"
	"cmp"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const cspBase = "/csp/gateway/am/api"

func (s *Server) cspRoutes() {
	s.handle("POST "+cspBase+"/auth/api-tokens/authorize", endpoint{Authorize, s.identifyForm, s.authorize})
	s.handle("POST "+cspBase+"/auth/api-tokens/details", endpoint{Details, s.identifyDetails, s.details})
	s.handle("GET "+cspBase+"/auth/token-public-key", endpoint{PublicKey, nil, s.publicKey})
	s.handle("GET "+cspBase+"/.well-known/openid-configuration", endpoint{OpenIDConf, nil, s.openIDConfiguration})
}

// form reads the parameters as leniently as CSP does: from the body whatever
// its Content-Type, and from the query.
func (q *request) form() url.Values {
	v, _ := url.ParseQuery(string(q.body)) // what can be read
	for k, more := range q.URL.Query() {
		v[k] = append(v[k], more...)
	}
	return v
}

// apiToken is the parameter's value: api_token, or its deprecated name.
func apiToken(v url.Values) string { return cmp.Or(v.Get("api_token"), v.Get("refresh_token")) }

func (s *Server) nameOf(value string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.find(value); t != nil {
		return t.Name
	}
	return unknownToken
}

func (s *Server) identifyForm(q *request) string {
	v := q.form()
	who := s.nameOf(apiToken(v))
	inQuery := q.URL.Query()
	for _, name := range []string{"api_token", "refresh_token", "passcode"} {
		if inQuery.Has(name) {
			s.violation(q, who, name+" in the query")
		}
	}
	s.checkAnonymous(q, who, "application/x-www-form-urlencoded")
	if v.Has("api_token") && v.Has("refresh_token") {
		s.violation(q, who, "api_token and refresh_token at once")
	}
	s.mu.Lock()
	handed := s.handed[apiToken(v)]
	s.mu.Unlock()
	if handed {
		s.violation(q, who, "the refresh_token of an answer used as API token")
	}
	return who
}

func (s *Server) identifyDetails(q *request) string {
	var b struct {
		TokenValue string `json:"tokenValue"`
	}
	_ = json.Unmarshal(q.body, &b)
	who := s.nameOf(b.TokenValue)
	s.checkAnonymous(q, who, "application/json")
	if q.URL.RawQuery != "" {
		s.violation(q, who, "a query")
	}
	return who
}

func (s *Server) checkType(q *request, who, want string) {
	if media, _, _ := mime.ParseMediaType(q.Header.Get("Content-Type")); media != want {
		s.violation(q, who, "a Content-Type other than "+want)
	}
}

func (s *Server) checkAnonymous(q *request, who, want string) {
	s.checkType(q, who, want)
	for _, name := range []string{"Authorization", "Csp-Auth-Token"} {
		if q.Header.Get(name) != "" {
			s.violation(q, who, name+" header on an anonymous endpoint")
		}
	}
}

// authorize is "Get Access Token By Api Refresh Token Using POST".
func (s *Server) authorize(q *request) answer {
	v := q.form()
	value := apiToken(v)
	if value == "" {
		return q.refuse(http.StatusBadRequest, "Invalid request body")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.find(value)
	if t == nil || t.Deactivated || t.dead(q.now) || t.Passcode != "" && v.Get("passcode") != t.Passcode {
		return q.refuse(cmp.Or(q.fault.GrantStatus, http.StatusBadRequest), "invalid_grant: Invalid refresh token: "+q.echo(value))
	}
	scopes := strings.Fields(v.Get("scope"))
	for _, scope := range scopes {
		if len(t.Scopes) > 0 && !slices.Contains(t.Scopes, scope) {
			return q.refuse(http.StatusBadRequest, "invalid_scope: Invalid scope")
		}
	}
	if rs := v.Get("allowed_resource_scope"); rs != "" && !json.Valid([]byte(rs)) {
		return q.refuse(http.StatusBadRequest, "Invalid allowed_resource_scope")
	}
	b := s.grant(q, t, scopes)
	// CSP hands back the API token or its like. A stand-in shows who uses it.
	standIn := "sim-stand-in-" + randomHex(16)
	s.handed[standIn] = true
	b["refresh_token"] = standIn
	return jsonAnswer(http.StatusOK, b)
}

// grant makes the answer with an access token. The caller holds s.mu.
func (s *Server) grant(q *request, t *token, scopes []string) map[string]any {
	life := cmp.Or(time.Duration(t.Life), s.o.Life)
	if !q.fault.SameToken || t.lastAccess == "" {
		t.lastAccess, t.lastOpen = s.accessToken(q, t, life), ""
		if t.OpenID || slices.Contains(scopes, "openid") {
			t.lastOpen = s.idToken(q, t, life)
		}
	}
	t.used = q.now
	s.granted(t.Name)
	if len(scopes) == 0 {
		scopes = t.Scopes
	}
	b := map[string]any{
		"token_type":   "bearer", // in lower case, as CSP has it
		"expires_in":   int64(max(life/time.Second, 1)),
		"scope":        cmp.Or(strings.Join(scopes, " "), "ALL_PERMISSIONS customer_number openid group_ids group_names"),
		"access_token": cmp.Or(q.fault.AccessToken, t.lastAccess),
	}
	if t.lastOpen != "" {
		b["id_token"] = t.lastOpen
	}
	q.fault.spoilLife(b)
	return b
}

// echo is what a refusal shows of the token: CSP masks all but its last five characters.
func (q *request) echo(value string) string {
	switch q.fault.Echo {
	case "full":
		return value
	case "none":
		return "xxxxx-token"
	}
	return "xxxx..." + value[max(len(value)-5, 0):]
}

// details is "Get API Token Details".
func (s *Server) details(q *request) answer {
	var b struct {
		TokenValue string `json:"tokenValue"`
	}
	if err := json.NewDecoder(bytes.NewReader(q.body)).Decode(&b); err != nil || b.TokenValue == "" {
		return q.refuse(http.StatusBadRequest, "Invalid request body")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.find(b.TokenValue)
	if t == nil || t.dead(q.now) {
		return q.refuse(http.StatusNotFound, "API token not found")
	}
	unit := func(at time.Time) int64 {
		switch {
		case at.IsZero():
			return 0
		case q.fault.Milliseconds:
			return at.UnixMilli()
		}
		return at.Unix()
	}
	scope := t.Scopes
	if len(scope) == 0 {
		scope = []string{"ALL_PERMISSIONS"}
	}
	d := map[string]any{
		"acct": t.User, "username": t.User, "domain": "example.com", "idpId": "example.com",
		"orgId": t.Org, "userId": t.userID, "tokenId": t.id, "tokenName": t.TokenName, "token": t.Value, "scope": scope,
		"createdAt": unit(t.created), "lastUsedAt": unit(t.used), "expiresAt": unit(t.ExpiresAt),
		"deactivated":   t.Deactivated,
		"allowedScopes": map[string]any{"generalScopes": scope, "organizationScopes": map[string]any{"allPermissions": true, "allRoles": true}},
	}
	if t.Deactivated {
		d["deactivatedUpdatedBy"], d["deactivatedUpdatedOn"] = t.User, unit(t.deactivatedOn)
	}
	return jsonAnswer(http.StatusOK, d)
}
