package sim

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// director is the state of the simulated Cloud Director.
type director struct {
	tokens   map[string]*vcdToken // by name
	users    map[string]*vcdUser  // by name
	sessions map[string]*session  // by access token
	versions []string
}

func newDirector() director {
	return director{
		tokens: map[string]*vcdToken{}, users: map[string]*vcdUser{}, sessions: map[string]*session{},
		versions: []string{"36.3", "37.3", "38.1", "39.0", "39.1"},
	}
}

func (q *request) vcd() bool { return strings.HasPrefix(q.endpoint, "vcd-") }

func (s *Server) vcdRoutes() {
	const sessions = "/cloudapi/1.0.0/sessions"
	s.handle("GET /api/versions", endpoint{VCDVersions, nil, s.vcdVersions})
	s.handle("POST /oauth/tenant/{org}/token", endpoint{VCDTokenRequest, s.identifyVCDToken, s.refresh})
	s.handle("POST /oauth/provider/token", endpoint{VCDTokenRequest, s.identifyVCDToken, s.refresh})
	s.handle("POST "+sessions, endpoint{VCDLogin, s.identifyLogin, s.login})
	s.handle("POST "+sessions+"/provider", endpoint{VCDLogin, s.identifyLogin, s.login})
	s.handle("GET "+sessions+"/current", endpoint{VCDSession, s.identifyBearer, s.withSession(s.showSession)})
	s.handle("GET "+sessions+"/{id}", endpoint{VCDSession, s.identifyBearer, s.withSession(s.showSession)})
	s.handle("DELETE "+sessions+"/current", endpoint{VCDSession, s.identifyBearer, s.withSession(s.endSession)})
	s.handle("DELETE "+sessions+"/{id}", endpoint{VCDSession, s.identifyBearer, s.withSession(s.endSession)})
	s.handle("GET "+sessions+"/{id}/token", endpoint{VCDProxyToken, s.identifyBearer, s.withSession(s.proxyToken)})
	s.handle("GET /api/org", endpoint{VCDLegacy, s.identifyBearer, s.withSession(s.legacyOrgs)})
	s.handle("GET /api/admin", endpoint{VCDLegacy, s.identifyBearer, s.withSession(s.legacyOrgs)})
}

func (q *request) base() string {
	if q.TLS != nil {
		return "https://" + q.Host
	}
	return "http://" + q.Host
}

// vcdVersions is SupportedVersions: XML, for anyone.
func (s *Server) vcdVersions(q *request) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` + "\n" + `<SupportedVersions xmlns="http://www.vmware.com/vcloud/versions">`)
	for _, v := range s.vcd.versions {
		old := len(v) > 1 && v[0] == '3' && v[1] < '7'
		fmt.Fprintf(&b, "\n  <VersionInfo deprecated=%q><Version>%s</Version><LoginUrl>%s/api/sessions</LoginUrl></VersionInfo>", fmt.Sprint(old), xmlText(v), xmlText(q.base()))
	}
	b.WriteString("\n</SupportedVersions>\n")
	return textAnswer(http.StatusOK, "text/xml", b.String())
}

var acceptVersion = regexp.MustCompile(`version=([0-9A-Za-z.-]+)`)

// wrongVersion is the answer to a request for a version that is not spoken.
func (s *Server) wrongVersion(q *request) (answer, bool) {
	m := acceptVersion.FindStringSubmatch(q.Header.Get("Accept"))
	if m != nil && slices.Contains(s.vcd.versions, m[1]) {
		return answer{}, false
	}
	return q.vcdError(http.StatusNotAcceptable, "NOT_ACCEPTABLE", "The request has invalid accept header: "+q.Header.Get("Accept")), true
}

func (s *Server) identifyVCDToken(q *request) string {
	value := q.form().Get("refresh_token")
	s.mu.Lock()
	who := unknownToken
	if t, generation := s.findVCDToken(value); t != nil {
		who, q.generation = t.Name, &generation
	}
	s.mu.Unlock()
	s.checkAnonymous(q, who, "application/x-www-form-urlencoded")
	if q.URL.Query().Has("refresh_token") {
		s.violation(q, who, "refresh_token in the query")
	}
	return who
}

// refresh is the refresh_token grant of /oauth. A token that rotates is
// replaced by it, and dead from then on, whether or not the answer arrives.
func (s *Server) refresh(q *request) answer {
	org := cmp.Or(q.PathValue("org"), "System")
	v := q.form()
	s.mu.Lock()
	defer s.mu.Unlock()
	t, _ := s.findVCDToken(v.Get("refresh_token"))
	switch {
	case !s.hasOrg(org):
		return q.vcdError(http.StatusNotFound, "RESOURCE_NOT_FOUND", "The organization "+org+" was not found")
	case v.Get("grant_type") != "refresh_token":
		return q.vcdError(http.StatusBadRequest, "unsupported_grant_type", "Unsupported grant type")
	case t == nil || t.Value != v.Get("refresh_token") || !strings.EqualFold(t.Org, org):
		return q.vcdError(cmp.Or(q.fault.GrantStatus, http.StatusBadRequest), "invalid_grant", "Invalid refresh token")
	}
	life := cmp.Or(time.Duration(t.Life), s.o.Life)
	b := map[string]any{
		"access_token": cmp.Or(q.fault.AccessToken, s.openSession(q, t.Name, t.User, t.Org, life, 30*time.Minute)),
		"token_type":   "Bearer", "expires_in": int64(max(life/time.Second, 1)), "scope": "openid", "refresh_token": nil,
	}
	if t.Rotation != RotationNever {
		t.old[t.Value] = t.generation
		t.Value = randomWord(32)
		t.generation++
		b["refresh_token"] = t.Value
		if t.Rotation == RotationOnce {
			t.Rotation = RotationNever
		}
	}
	q.fault.spoilLife(b)
	return jsonAnswer(http.StatusOK, b)
}

// openSession makes an access token. The caller holds s.mu.
func (s *Server) openSession(q *request, account, user, org string, life, idle time.Duration) string {
	s.granted(account)
	for key, x := range s.vcd.sessions {
		if x.dead(q.now) {
			delete(s.vcd.sessions, key)
		}
	}
	claims := map[string]any{
		"sub": user, "iss": guid() + "@" + guid(), "exp": q.now.Add(life).Unix(), "version": "vcloud_1.0", "jti": randomHex(16),
	}
	if n := q.fault.TokenSize; n > 0 {
		claims["pad"] = strings.Repeat("g", n*3/4)
	}
	access := s.sign(claims)
	s.vcd.sessions[access] = &session{id: "urn:vcloud:session:" + guid(), account: account, user: user, org: org,
		idle: idle, used: q.now, end: q.now.Add(life)}
	return access
}

func (s *Server) identifyLogin(q *request) string {
	login, _, _ := q.BasicAuth()
	s.mu.Lock()
	who := unknownToken
	if u := s.findVCDUser(login); u != nil {
		who = u.Name
	}
	s.mu.Unlock()
	if login == "" {
		s.violation(q, who, "a login without Basic authentication")
	}
	return who
}

// login opens a session for a user and password. Wrong passwords lock the user.
func (s *Server) login(q *request) answer {
	login, password, _ := q.BasicAuth()
	atProvider := strings.HasSuffix(q.URL.Path, "/provider")
	s.mu.Lock()
	defer s.mu.Unlock()
	if a, wrong := s.wrongVersion(q); wrong {
		return a
	}
	u := s.findVCDUser(login)
	if u != nil && u.Password != password {
		u.wrong++
		u.Locked = u.Locked || u.wrong >= u.LockAfter
	}
	if u == nil || u.Locked || u.Password != password || strings.EqualFold(u.Org, "System") != atProvider {
		return q.vcdError(http.StatusUnauthorized, "UNAUTHORIZED", "The login failed for "+login)
	}
	u.wrong = 0
	idle := time.Duration(u.IdleMinutes) * time.Minute
	access := s.openSession(q, u.Name, u.User, u.Org, cmp.Or(time.Duration(u.Life), s.o.Life), idle)
	a := jsonAnswer(http.StatusOK, s.vcd.sessions[access].json())
	a.header.Set("X-Vmware-Vcloud-Access-Token", cmp.Or(strings.Map(headerSafe, q.fault.AccessToken), access))
	a.header.Set("X-Vmware-Vcloud-Token-Type", "Bearer")
	return a
}

// headerSafe drops what no header can hold.
func headerSafe(r rune) rune {
	if r < ' ' {
		return -1
	}
	return r
}

func (x *session) json() map[string]any {
	return map[string]any{
		"id": x.id, "user": reference(x.user, "user"), "org": reference(x.org, "org"), "location": "sim",
		"roles": []string{"Organization User"}, "roleRefs": []any{reference("Organization User", "role")},
		"sessionIdleTimeoutMinutes": int(x.idle / time.Minute),
	}
}

func reference(name, kind string) map[string]string {
	return map[string]string{"name": name, "id": "urn:vcloud:" + kind + ":" + url.PathEscape(name)}
}

// bearer is the access token of a request, in either header, whatever the case
// of the scheme.
func (q *request) bearer() string {
	if scheme, token, ok := strings.Cut(q.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		return token
	}
	return q.Header.Get("X-Vmware-Vcloud-Access-Token")
}

func (s *Server) identifyBearer(q *request) string {
	value := q.bearer()
	s.mu.Lock()
	who, misused := unknownToken, false
	if x := s.vcd.sessions[value]; x != nil {
		who = x.account
	} else if t, _ := s.findVCDToken(value); t != nil {
		who, misused = t.Name, true
	}
	s.mu.Unlock()
	if misused {
		s.violation(q, who, "an API token used as a bearer token")
	}
	return who
}

// withSession answers for the session that the access token belongs to, and
// keeps it from being idle. Without one, the answer is 401 without a body.
func (s *Server) withSession(f func(*request, *session) answer) func(*request) answer {
	return func(q *request) answer {
		s.mu.Lock()
		defer s.mu.Unlock()
		x := s.vcd.sessions[q.bearer()]
		if x == nil || x.dead(q.now) {
			return answer{status: http.StatusUnauthorized, header: http.Header{}}
		}
		if a, wrong := s.wrongVersion(q); wrong {
			return a
		}
		if id := q.PathValue("id"); id != "" && id != x.id {
			return q.vcdError(http.StatusNotFound, "RESOURCE_NOT_FOUND", "No such session")
		}
		x.used = q.now
		return f(q, x)
	}
}

func (s *Server) showSession(_ *request, x *session) answer {
	return jsonAnswer(http.StatusOK, x.json())
}

func (s *Server) endSession(q *request, _ *session) answer {
	delete(s.vcd.sessions, q.bearer())
	return answer{status: http.StatusNoContent, header: http.Header{}}
}

// proxyToken is "Get Token": the token for proxies of this session.
func (s *Server) proxyToken(q *request, x *session) answer {
	if x.proxyToken == "" {
		x.proxyToken = randomWord(40)
	}
	return jsonAnswer(http.StatusOK, map[string]any{
		"id": "urn:vcloud:token:" + guid(), "name": x.user, "token": cmp.Or(q.fault.AccessToken, x.proxyToken), "type": "PROXY",
		"expirationTimeUtc": x.end.UTC().Format("2006-01-02T15:04:05.000Z"), "requireRotation": nil,
		"owner": reference(x.user, "user"), "org": reference(x.org, "org"),
		"username": x.user, "userId": reference(x.user, "user")["id"], "orgName": x.org,
	})
}

// legacyOrgs is what clients of the XML API look at after a login.
func (s *Server) legacyOrgs(q *request, x *session) answer {
	if q.URL.Path == "/api/admin" {
		return textAnswer(http.StatusOK, "application/vnd.vmware.admin.vcloud+xml", fmt.Sprintf(
			`<VCloud xmlns="http://www.vmware.com/vcloud/v1.5" name="sim" href="%s/api/admin/"></VCloud>`, xmlText(q.base())))
	}
	return textAnswer(http.StatusOK, "application/vnd.vmware.vcloud.orglist+xml", fmt.Sprintf(
		`<OrgList xmlns="http://www.vmware.com/vcloud/v1.5"><Org name="%s" href="%s/api/org/1" type="application/vnd.vmware.vcloud.org+xml"/></OrgList>`,
		xmlText(x.org), xmlText(q.base())))
}
