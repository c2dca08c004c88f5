package csp

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func answered(status int, contentType, body string) reply {
	h := http.Header{"Date": {noon.Format(http.TimeFormat)}}
	if contentType != "" {
		h.Set("Content-Type", contentType)
	}
	return reply{host: "csp.example.com", status: status, header: h, body: []byte(body), at: noon,
		clean: newCleaner(remainSize, secret.New(fake))}
}

func TestT3ExpiresInIsReadLeniently(t *testing.T) {
	for raw, want := range map[string]time.Duration{
		`1799`: 1799 * time.Second, `"1799"`: 1799 * time.Second, `" 1799 "`: 1799 * time.Second, `1799.5`: 1799500 * time.Millisecond, `1.799e3`: 1799 * time.Second,
		`0`: 0, `-1`: 0, `"-5"`: 0, `null`: 0, ``: 0, `""`: 0, `"soon"`: 0, `true`: 0, `{}`: 0, `[1799]`: 0, `1e300`: 0, `"Inf"`: 0, `"NaN"`: 0, `9223372036854775807`: 0, `315360001`: 0,
	} {
		if got := lifetime(json.RawMessage(raw)); got != want {
			t.Errorf("%s: got %v, want %v", raw, got, want)
		}
	}
}

func TestTokenReply(t *testing.T) {
	r := answered(200, "application/json", `{"id_token":"a.b.c","token_type":"bearer","expires_in":1799,"scope":["openid","x"],"access_token":"abc.DEF-_~+/==","refresh_token":"`+fake+`"}`)
	got, e := r.token(secret.New(fake))
	if e != nil {
		t.Fatal(e)
	}
	if got.Access.Reveal() != "abc.DEF-_~+/==" || got.ID.Reveal() != "a.b.c" || got.Type != "Bearer" || got.Scope != "openid x" ||
		got.ExpiresIn != 1799*time.Second || !got.ServerTime.Equal(noon) || !got.ExpiresAt.IsZero() {
		t.Errorf("got %+v", got)
	}
	if !got.Replacement.IsZero() {
		t.Error("the refresh_token of the answer replaces the API token")
	}
}

func TestT11SuccessWithoutTokenIsAnError(t *testing.T) {
	token := func(v string) string { return fmt.Sprintf(`{"access_token":%s,"expires_in":1799}`, v) }
	for _, c := range []struct {
		name, contentType, body string
		class                   provider.Class
	}{
		{"empty", "", "", provider.WrongServer},
		{"empty object", "application/json", "{}", provider.WrongServer},
		{"null", "application/json", token("null"), provider.WrongServer},
		{"empty token", "application/json", token(`""`), provider.WrongServer},
		{"number", "application/json", token("5"), provider.WrongServer},
		{"truncated", "application/json", `{"access_token":"abc`, provider.WrongServer},
		{"text after it", "application/json", token(`"abc"`) + " x", provider.WrongServer},
		{"array", "application/json", "[" + token(`"abc"`) + "]", provider.WrongServer},
		{"line break", "application/json", token(`"abc\ndef"`), provider.WrongServer},
		{"trailing line break", "application/json", token(`"abc\n"`), provider.WrongServer},
		{"shell", "application/json", token(`"$(reboot)"`), provider.WrongServer},
		{"quote", "application/json", token(`"a'b"`), provider.WrongServer},
		{"blank", "application/json", token(`"a b"`), provider.WrongServer},
		{"too long", "application/json", token(`"` + strings.Repeat("a", 64<<10+1) + `"`), provider.WrongServer},
		{"the API token itself", "application/json", token(`"` + fake + `"`), provider.WrongServer},
		{"web page", "text/html; charset=utf-8", "<!DOCTYPE html><html></html>", provider.Transient},
		{"web page without a type", "", "\n<HTML><body>", provider.Transient},
		{"web page called JSON", "application/json", "<!doctype html><title>x", provider.Transient},
		{"text", "text/plain", "OK", provider.WrongServer},
	} {
		got, e := answered(200, c.contentType, c.body).token(secret.New(fake))
		if e == nil || e.Class != c.class || !got.Access.IsZero() || e.Status != 200 {
			t.Errorf("%s: got %v, %+v", c.name, got.Access.Len(), e)
			continue
		}
		if !strings.Contains(e.Message, "csp.example.com") {
			t.Errorf("%s: the host is missing: %s", c.name, e.Message)
		}
	}
}

// detailsBody is the documented ApiTokenDetailsDto with made-up values.
func detailsBody(times string) string {
	return `{"acct":"jo@example.com","allowedScopes":{"generalScopes":["openid"],
	"organizationScopes":{"allPermissions":false,"allRoles":true,"keptInToken":["ROLES"],
	"permissions":[{"permissionId":"p1","resources":["r1"]}],"roles":[{"name":"org_member","resource":"r2"}]},
	"servicesScopes":[{"allPermissions":true,"allRoles":false,"serviceDefinitionId":"s1","roles":[{"name":"vmc"}]}]},
	"deactivated":true,"deactivatedUpdatedBy":"admin","domain":"example.com","idpId":"idp","orgId":"org","scope":["a","b"],
	"token":"` + fake + `","tokenId":"tid","tokenName":"build\u202e machine\n","userId":"uid","username":"jo"` + times + `}`
}

func TestDetailsReply(t *testing.T) {
	r := answered(200, "application/json", detailsBody(`,"createdAt":1700000000,"lastUsedAt":"1700000100","expiresAt":1800000000,"deactivatedUpdatedOn":1700000200000`))
	got, e := r.details(secret.New(fake))
	if e != nil {
		t.Fatal(e)
	}
	want := provider.Details{
		TokenID: "tid", TokenName: "build machine", OrgID: "org", UserID: "uid", Username: "jo", Acct: "jo@example.com", Domain: "example.com", IdPID: "idp",
		Scope: []string{"a", "b"},
		AllowedScopes: &provider.AllowedScopes{General: []string{"openid"},
			Organization: &provider.ScopeSet{AllRoles: true, KeptInToken: []string{"ROLES"},
				Permissions: []provider.Permission{{ID: "p1", Resources: []string{"r1"}}}, Roles: []provider.Role{{Name: "org_member", Resource: "r2"}}},
			Services: []provider.ServiceScope{{ServiceDefinitionID: "s1", ScopeSet: provider.ScopeSet{AllPermissions: true, Roles: []provider.Role{{Name: "vmc"}}}}}},
		CreatedAt: time.Unix(1700000000, 0).UTC(), LastUsedAt: time.Unix(1700000100, 0).UTC(),
		Expiry:      provider.Expiry{Known: true, At: time.Unix(1800000000, 0).UTC()},
		Deactivated: true, DeactivatedBy: "admin", DeactivatedOn: time.Unix(1700000200, 0).UTC(),
		RawTimes: map[string]string{"createdAt": "1700000000", "lastUsedAt": `"1700000100"`, "expiresAt": "1800000000", "deactivatedUpdatedOn": "1700000200000"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	b, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	noRemains(t, "the details", string(b), fake, labelRemainSize)
}

func TestExpiryOfDetails(t *testing.T) {
	at := func(s int64) provider.Expiry { return provider.Expiry{Known: true, At: time.Unix(s, 0).UTC()} }
	never := provider.Expiry{Known: true, Never: true}
	for raw, want := range map[string]provider.Expiry{
		`1800000000`: at(1800000000), `1800000000000`: at(1800000000), `"1800000000"`: at(1800000000), `1.8e9`: at(1800000000),
		`100000000000`:           never, // seconds: the year 5138
		`100000001000`:           at(100000001),
		`1600000000`:             at(1600000000), // past
		`0`:                      never,
		`-1`:                     never,
		`null`:                   never,
		``:                       never, // missing
		`2147483647`:             never,
		`2147483647000`:          never,
		`9223372036854775807`:    never,
		`2200000000`:             never, // 13 years ahead
		`2200000000000`:          never,
		`"2027-01-15T08:00:00Z"`: at(1800000000),
		`"soon"`:                 {},
		`{}`:                     {},
		`true`:                   {},
	} {
		times := `,"expiresAt":` + raw
		if raw == "" {
			times = ""
		}
		got, e := answered(200, "application/json", detailsBody(times)).details(secret.New(fake))
		if e != nil || got.Expiry != want {
			t.Errorf("%s: got %+v, %v; want %+v", raw, got.Expiry, e, want)
		}
	}
	d, _ := answered(200, "", detailsBody(`,"lastUsedAt":0,"createdAt":null`)).details(secret.New(fake))
	if !d.LastUsedAt.IsZero() || !d.CreatedAt.IsZero() {
		t.Errorf("a time out of nothing: %+v", d)
	}
}

func TestDetailsOfAnotherServer(t *testing.T) {
	for body, class := range map[string]provider.Class{
		`{"status":"UP"}`: provider.WrongServer, `[]`: provider.WrongServer, ``: provider.WrongServer, `"x"`: provider.WrongServer, `null`: provider.WrongServer,
		`<html></html>`: provider.Transient,
	} {
		if _, e := answered(200, "", body).details(secret.New(fake)); e == nil || e.Class != class {
			t.Errorf("%s: got %v", body, e)
		}
	}
}

func TestT10RetryAfter(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"": 0, "5": 5 * time.Second, " 5 ": 5 * time.Second, "1.5": 1500 * time.Millisecond, "0": 0, "-5": 0, "soon": 0, "5 seconds": 0, "NaN": 0,
		"3600": time.Hour, "7200": time.Hour, "99999999999999999999": time.Hour, "Inf": time.Hour, "-Inf": 0,
		noon.Add(90 * time.Second).Format(http.TimeFormat):     90 * time.Second,
		noon.Add(-time.Hour).Format(http.TimeFormat):           0,
		noon.Add(48 * time.Hour).Format(http.TimeFormat):       time.Hour,
		noon.AddDate(5000, 0, 0).Format(http.TimeFormat):       time.Hour,
		noon.Add(10 * time.Second).Format(time.RFC3339):        0,
		noon.Add(10*time.Second).Format(time.RFC850) + " junk": 0,
	} {
		r := answered(429, "", "")
		r.header.Set("Retry-After", value)
		if got := r.failure().RetryAfter; got != want {
			t.Errorf("%q: got %v, want %v", value, got, want)
		}
	}
}

func FuzzTokenReply(f *testing.F) {
	f.Add("application/json", `{"id_token":"a.b.c","token_type":"bearer","expires_in":1799,"scope":"ALL_PERMISSIONS customer_number openid","access_token":"`+fakeJWT()+`","refresh_token":"`+fake+`"}`)
	f.Add("application/json", `{"access_token":"abc","expires_in":"1799","scope":null,"id_token":5}`)
	f.Add("application/json", `{"access_token":"`+fake+`","expires_in":-1}`)
	f.Add("text/html", "<html>")
	f.Add("", "\x1f\x8b")
	f.Fuzz(func(t *testing.T, contentType, body string) {
		got, e := answered(200, contentType, body).token(secret.New(fake))
		if e != nil {
			if !got.Access.IsZero() || e.Class != provider.WrongServer && e.Class != provider.Transient {
				t.Errorf("%v with %+v", got, e)
			}
			noRemains(t, "the error", e.Message, fake, remainSize)
			presentable(t, e.Message)
			return
		}
		if !b64token.MatchString(got.Access.Reveal()) || got.Access.Len() > provider.MaxTokenSize || got.ExpiresIn < 0 || got.ExpiresIn > tenYears || got.Type != "Bearer" {
			t.Errorf("got %+v", got)
		}
		if strings.Contains(got.Access.Reveal()+got.ID.Reveal(), fake) {
			t.Error("a token holds the API token")
		}
		noRemains(t, "the scope", got.Scope, fake, labelRemainSize)
	})
}

func FuzzDetails(f *testing.F) {
	f.Add(detailsBody(`,"createdAt":1700000000,"lastUsedAt":0,"expiresAt":1800000000000`))
	f.Add(detailsBody(`,"expiresAt":"1800000000","deactivated":"true"`))
	f.Add(`{"tokenName":"` + fake + `","expiresAt":{},"scope":"a b","allowedScopes":[]}`)
	f.Add(`{"orgId":5,"expiresAt":1e400,"createdAt":"` + fake + `"}`)
	f.Fuzz(func(t *testing.T, body string) {
		d, e := answered(200, "application/json", body).details(secret.New(fake))
		if e != nil {
			presentable(t, e.Message)
			return
		}
		if x := d.Expiry; (x.Never || !x.At.IsZero()) && !x.Known || x.Never && !x.At.IsZero() || x.At.After(noon.Add(tenYears)) {
			t.Errorf("expiry %+v", x)
		}
		b, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err) // a year beyond 9999, say
		}
		noRemains(t, "the details", string(b), fake, labelRemainSize)
		for _, s := range []string{d.TokenName, d.Username, d.OrgID, d.DeactivatedBy} {
			presentable(t, s)
		}
	})
}

func FuzzErrorBody(f *testing.F) {
	for _, status := range []int{400, 404} {
		f.Add(status, "application/json", `{"metadata":"knull","traceId":"x","statusCode":404,"message":"invalid_grant: Invalid refresh token: xxxx...`+fake[len(fake)-5:]+`","requestId":"0105e0f320064337","moduleCode":"540","cspErrorCode":"540.120-340.800"}`, "5")
	}
	f.Add(400, "application/json", `{"moduleCode":340,"message":"invalid_grant: Invalid refresh token: `+fake+`"}`, "")
	f.Add(429, "text/html", "<html>"+fake, "Wed, 21 Oct 2026 07:28:00 GMT")
	f.Add(401, "", "", "-1")
	f.Add(403, "application/xml", "<Error minorErrorCode=\"x\"/>", "1e309")
	f.Add(302, "", "", "")
	f.Add(503, "application/json", `["`+fake+`"]`, "999999999999")
	f.Fuzz(func(t *testing.T, status int, contentType, body, header string) {
		r := answered(status, contentType, body)
		r.header.Set("Retry-After", header)
		r.header.Set("Location", header)
		r.header.Set("Csp-Request-Id", header)
		e := r.failure()
		if e.RetryAfter < 0 || e.RetryAfter > time.Hour || e.Message == "" {
			t.Errorf("got %+v", e)
		}
		if e.Class == provider.Permanent && (!strings.Contains(body, "invalid_") && !strings.Contains(body, `\u`) || status < 400 && status >= 300 || status >= 500) {
			t.Errorf("permanent: %d %q", status, body)
		}
		for _, s := range []string{e.Message, e.Hint, e.Code, e.RequestID} {
			noRemains(t, "the error", s, fake, remainSize)
			presentable(t, s)
			if len(s) > 2000 {
				t.Errorf("%d bytes", len(s))
			}
		}
	})
}
