package sim_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/sim"
)

const sessions = "/cloudapi/1.0.0/sessions"

// director is a simulated Cloud Director with a clock.
type director struct {
	*sim.Server
	url string
	now time.Time
}

func startDirector(t *testing.T) *director {
	t.Helper()
	d := &director{now: time.Now()}
	d.Server = sim.New(sim.Options{Now: func() time.Time { return d.now }, Life: time.Hour})
	server := httptest.NewServer(d.Server)
	t.Cleanup(server.Close)
	d.url = server.URL
	return d
}

// ask sends a request with a version and the given headers.
func (d *director) ask(t *testing.T, method, path, body string, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, d.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/json;version=39.0")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: res.StatusCode, header: res.Header, text: string(b)}
	_ = json.Unmarshal(b, &a.json)
	return a
}

func (d *director) refresh(t *testing.T, org, value string) answer {
	t.Helper()
	return d.ask(t, "POST", "/oauth/tenant/"+url.PathEscape(org)+"/token", "grant_type=refresh_token&refresh_token="+value, "Content-Type", "application/x-www-form-urlencoded")
}

func basic(login, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(login+":"+password))
}

func TestDirectorTokens(t *testing.T) {
	d := startDirector(t)
	token, err := d.AddVCDToken(sim.VCDToken{Name: "account", Org: "an org", Rotation: sim.RotationAlways})
	if err != nil || len(token.Value) != 32 {
		t.Fatalf("got %+v, %v", token, err)
	}
	a := d.refresh(t, "an org", token.Value)
	next, _ := a.json["refresh_token"].(string)
	if a.status != 200 || a.json["token_type"] != "Bearer" || a.json["expires_in"] != 3600.0 || len(next) != 32 || next == token.Value || a.header.Get("X-Vmware-Vcloud-Request-Id") == "" {
		t.Fatalf("got %d %s", a.status, a.text)
	}
	a = d.refresh(t, "an org", token.Value)
	if a.status != 400 || a.json["minorErrorCode"] != "invalid_grant" || a.json["message"] != "Invalid refresh token" {
		t.Errorf("a dead token: %d %s", a.status, a.text)
	}
	if a = d.refresh(t, "AN ORG", next); a.status != 200 {
		t.Errorf("the new token: %d %s", a.status, a.text)
	}
	if a = d.refresh(t, "nowhere", next); a.status != 404 {
		t.Errorf("an unknown organization: %d", a.status)
	}
	if g := d.Stats().Tokens["account"].Generations; g[0] != 2 || g[1] != 2 || len(g) != 2 {
		t.Errorf("generations %v", g)
	}
	if n := d.Stats().Tokens["account"].Granted; n != 2 {
		t.Errorf("%d granted", n)
	}
	if _, err := d.AddVCDToken(sim.VCDToken{Name: "thief", Value: token.Value}); err == nil {
		t.Error("a dead token of one account becomes another's")
	}
	if !d.RevokeVCDToken("account") || d.RevokeVCDToken("account") {
		t.Error("RevokeVCDToken")
	}
	if v := d.Stats().Violations; len(v) != 0 {
		t.Errorf("violations %v", v)
	}
	d.ask(t, "POST", "/oauth/provider/token?refresh_token="+next, "", "Authorization", "Bearer x")
	if v := d.Stats().Violations; len(v) != 3 {
		t.Errorf("violations %v", v)
	}
}

func TestDirectorSessions(t *testing.T) {
	d := startDirector(t)
	u, err := d.AddVCDUser(sim.VCDUser{Name: "jo", LockAfter: 2, IdleMinutes: 10})
	if err != nil {
		t.Fatal(err)
	}
	login := func(path, as, password string) answer {
		t.Helper()
		return d.ask(t, "POST", sessions+path, "", "Authorization", basic(as, password))
	}
	a := login("", "jo@acme", u.Password)
	access := a.header.Get("X-Vmware-Vcloud-Access-Token")
	id, _ := a.json["id"].(string)
	if a.status != 200 || access == "" || a.header.Get("X-Vmware-Vcloud-Token-Type") != "Bearer" || a.json["sessionIdleTimeoutMinutes"] != 10.0 {
		t.Fatalf("got %d %v %s", a.status, a.header, a.text)
	}
	for _, h := range [][]string{{"Authorization", "Bearer " + access}, {"Authorization", "bearer " + access}, {"X-Vmware-Vcloud-Access-Token", access}} {
		for _, path := range []string{"/current", "/" + id} {
			if a := d.ask(t, "GET", sessions+path, "{}", h...); a.status != 200 || a.json["id"] != id {
				t.Errorf("%s %s: %d %s", h[0], path, a.status, a.text)
			}
		}
	}
	bearer := []string{"Authorization", "Bearer " + access}
	a = d.ask(t, "GET", sessions+"/"+id+"/token", "", bearer...)
	if a.status != 200 || a.json["type"] != "PROXY" || a.json["requireRotation"] != nil || a.json["expirationTimeUtc"] == "" {
		t.Errorf("proxy token: %d %s", a.status, a.text)
	}
	if again := d.ask(t, "GET", sessions+"/"+id+"/token", "", bearer...); again.json["token"] != a.json["token"] {
		t.Error("another proxy token for the same session")
	}
	if a := d.ask(t, "GET", sessions+"/urn:vcloud:session:other/token", "", bearer...); a.status != 404 {
		t.Errorf("another's session: %d", a.status)
	}
	for path, want := range map[string]string{"/api/org": `<Org name="acme"`, "/api/admin": "<VCloud"} {
		if a := d.ask(t, "GET", path, "", append(bearer, "Accept", "application/*+xml;version=39.0")...); a.status != 200 || !strings.Contains(a.text, want) {
			t.Errorf("%s: %d %s", path, a.status, a.text)
		}
		if a := d.ask(t, "GET", path, "", append(bearer, "Accept", "*/*")...); a.status != 406 || !strings.Contains(a.text, `<Error xmlns=`) {
			t.Errorf("%s without a version: %d %s", path, a.status, a.text)
		}
	}
	if a := d.ask(t, "GET", sessions+"/current", "", append(bearer, "Accept", "application/json;version=12.0")...); a.status != 406 {
		t.Errorf("unknown version: %d", a.status)
	}
	if a := d.ask(t, "DELETE", sessions+"/current", "", bearer...); a.status != 204 {
		t.Errorf("DELETE: %d", a.status)
	}
	if a := d.ask(t, "GET", sessions+"/current", "", bearer...); a.status != 401 || a.text != "" {
		t.Errorf("after DELETE: %d %q", a.status, a.text)
	}

	bearer[1] = "Bearer " + login("", "jo@ACME", u.Password).header.Get("X-Vmware-Vcloud-Access-Token")
	for i, want := range []int{200, 200, 401} {
		if a := d.ask(t, "GET", sessions+"/current", "", bearer...); a.status != want {
			t.Errorf("step %d: %d", i, a.status)
		}
		d.now = d.now.Add([]time.Duration{9, 10, 0}[i] * time.Minute)
	}
	if a := login("/provider", "jo@acme", u.Password); a.status != 401 {
		t.Errorf("a tenant's user at the provider: %d", a.status)
	}
	login("", "jo@acme", "wrong")
	if a := login("", "jo@acme", u.Password); a.status != 200 {
		t.Errorf("one wrong password: %d", a.status)
	}
	login("", "jo@acme", "wrong")
	login("", "jo@acme", "wrong")
	if a := login("", "jo@acme", u.Password); a.status != 401 {
		t.Errorf("two wrong passwords in a row: %d", a.status)
	}
}

func TestDirectorVersionsAndErrors(t *testing.T) {
	d := startDirector(t)
	a := d.ask(t, "GET", "/api/versions", "", "Accept", "*/*")
	if a.status != 200 || !strings.Contains(a.text, `<VersionInfo deprecated="true"><Version>36.3</Version><LoginUrl>`+d.url) || !strings.Contains(a.text, `<VersionInfo deprecated="false"><Version>39.1</Version>`) {
		t.Errorf("got %d %s", a.status, a.text)
	}
	d.AddFault(sim.Fault{XML: true, StackTrace: 100 << 10})
	a = d.refresh(t, "System", "no<token")
	if a.status != 400 || !strings.Contains(a.text, `minorErrorCode="invalid_grant"`) || len(a.text) < 100<<10 || !strings.Contains(a.header.Get("Content-Type"), "xml") {
		t.Errorf("got %d %.200s", a.status, a.text)
	}
	d.ClearFaults()
	d.AddFault(sim.Fault{StackTrace: 100 << 10, Status: 503, Message: "down"})
	if a = d.refresh(t, "System", "x"); a.status != 503 || a.json["message"] != "down" || len(a.json["stackTrace"].(string)) < 100<<10 {
		t.Errorf("got %d %.200s", a.status, a.text)
	}
}

func TestP10AfterMeansTheWorkIsDone(t *testing.T) {
	d := startDirector(t)
	token, err := d.AddVCDToken(sim.VCDToken{Name: "account", Rotation: sim.RotationOnce})
	if err != nil {
		t.Fatal(err)
	}
	d.AddFault(sim.Fault{Endpoint: sim.VCDTokenRequest, Token: "account", Status: 504, After: true, Times: 1})
	if a := d.refresh(t, "acme", token.Value); a.status != 504 || strings.Contains(a.text, "refresh_token") {
		t.Errorf("got %d %s", a.status, a.text)
	}
	now, _ := d.VCDToken("account")
	if now.Value == token.Value || now.Rotation != sim.RotationNever {
		t.Errorf("got %+v", now)
	}
	if a := d.refresh(t, "acme", now.Value); a.status != 200 || a.json["refresh_token"] != nil {
		t.Errorf("got %d %s", a.status, a.text)
	}
	// Without After, nothing is done.
	d.AddFault(sim.Fault{Status: 504, Times: 1})
	before := d.Stats().Granted
	if d.refresh(t, "acme", now.Value); d.Stats().Granted != before {
		t.Error("a token is granted in spite of the fault")
	}
}

func TestControlPlaneOfTheOthers(t *testing.T) {
	d := startDirector(t)
	control := func(method, path, body string, want int) answer {
		t.Helper()
		a := send(t, method, d.url+"/_sim/"+path, "", body)
		if a.status != want {
			t.Fatalf("%s %s: %d %s", method, path, a.status, a.text)
		}
		return a
	}
	app := control("POST", "apps", `{"name":"robot","life":"60s"}`, 200)
	id, _ := app.json["client_id"].(string)
	secret, _ := app.json["secret"].(string)
	for _, path := range []string{"/authorize", "/token"} {
		a := d.ask(t, "POST", base+path, "grant_type=client_credentials", "Authorization", basic(id, url.QueryEscape(secret)), "Content-Type", "application/x-www-form-urlencoded")
		if a.status != 200 || a.json["expires_in"] != 60.0 || a.json["token_type"] != "bearer" || a.json["refresh_token"] != nil {
			t.Errorf("%s: %d %s", path, a.status, a.text)
		}
	}
	if a := d.ask(t, "POST", base+"/token", "grant_type=client_credentials&client_id="+id+"&client_secret="+secret); a.status != 401 || len(d.Stats().Violations) != 2 {
		t.Errorf("the secret in the body: %d, %v", a.status, d.Stats().Violations)
	}
	if a := control("POST", "apps", `{"name":"robot","org":"o"}`, 200); a.json["secret"] != secret || a.json["life"] != "1m0s" {
		t.Errorf("got %s", a.text)
	}
	control("DELETE", "apps/robot", "", 204)

	control("POST", "vcd-tokens", `{"name":"b","rotation":"always"}`, 200)
	control("POST", "vcd-tokens", `{"name":"a"}`, 200)
	control("POST", "vcd-tokens", `{"name":"b","rotation":"often"}`, 400)
	control("POST", "vcd-tokens", `{"rotation":"always"}`, 400)
	if a := control("GET", "vcd-tokens", "", 200); a.text != `["a","b"]`+"\n" {
		t.Errorf("got %s", a.text)
	}
	b, _ := d.VCDToken("b")
	access, _ := d.refresh(t, "acme", b.Value).json["access_token"].(string)
	control("GET", "wait?granted=3&timeout=5s", "", 200)
	if st := control("GET", "stats", "", 200); !strings.Contains(st.text, `"generations":{"0":1}`) {
		t.Errorf("got %s", st.text)
	}
	control("DELETE", "vcd-sessions", "", 204)
	if a := d.ask(t, "GET", sessions+"/current", "", "Authorization", "Bearer "+access); a.status != 401 {
		t.Errorf("an ended session: %d", a.status)
	}
	if a := control("POST", "vcd-users", `{"name":"jo","password":"x y","org":"System"}`, 200); a.json["user"] != "jo" || a.json["idle_minutes"] != 30.0 {
		t.Errorf("got %s", a.text)
	}
	control("POST", "vcd-versions", `["40.0"]`, 204)
	if a := d.ask(t, "POST", sessions+"/provider", "", "Authorization", basic("jo@system", "x y")); a.status != 406 {
		t.Errorf("got %d", a.status)
	}
	control("POST", "vcd-versions", `"40.0"`, 400)

	d.ResetStats()
	now, _ := d.VCDToken("b")
	d.ask(t, "GET", sessions+"/current", "", "Authorization", "Bearer "+now.Value)
	if v := d.Stats().Violations; len(v) != 1 || !strings.Contains(v[0].What, "as a bearer token") {
		t.Errorf("violations %v", v)
	}
}
