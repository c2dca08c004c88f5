package csp

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
	"github.com/cspctl/cspctl/internal/upstream"
	"github.com/cspctl/cspctl/internal/upstream/upstreamtest"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func answered(status int, contentType, body string) upstream.Reply {
	h := http.Header{"Date": {noon.Format(http.TimeFormat)}}
	if contentType != "" {
		h.Set("Content-Type", contentType)
	}
	return upstream.Reply{System: apiToken, Host: "csp.example.com", Status: status, Header: h, Body: []byte(body), At: noon,
		Clean: upstream.NewCleaner(upstream.RemainSize, secret.New(upstreamtest.Secret))}
}

// detailsBody is the documented ApiTokenDetailsDto with made-up values.
func detailsBody(times string) string {
	return `{"acct":"jo@example.com","allowedScopes":{"generalScopes":["openid"],
	"organizationScopes":{"allPermissions":false,"allRoles":true,"keptInToken":["ROLES"],
	"permissions":[{"permissionId":"p1","resources":["r1"]}],"roles":[{"name":"org_member","resource":"r2"}]},
	"servicesScopes":[{"allPermissions":true,"allRoles":false,"serviceDefinitionId":"s1","roles":[{"name":"vmc"}]}]},
	"deactivated":true,"deactivatedUpdatedBy":"admin","domain":"example.com","idpId":"idp","orgId":"org","scope":["a","b"],
	"token":"` + upstreamtest.Secret + `","tokenId":"tid","tokenName":"build\u202e machine\n","userId":"uid","username":"jo"` + times + `}`
}

func TestDetailsReply(t *testing.T) {
	r := answered(200, "application/json", detailsBody(`,"createdAt":1700000000,"lastUsedAt":"1700000100","expiresAt":1800000000,"deactivatedUpdatedOn":1700000200000`))
	got, e := readDetails(r, secret.New(upstreamtest.Secret))
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
	upstreamtest.NoRemains(t, "the details", string(b), upstreamtest.Secret, upstream.LabelRemainSize)
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
		got, e := readDetails(answered(200, "application/json", detailsBody(times)), secret.New(upstreamtest.Secret))
		if e != nil || got.Expiry != want {
			t.Errorf("%s: got %+v, %v; want %+v", raw, got.Expiry, e, want)
		}
	}
	d, _ := readDetails(answered(200, "", detailsBody(`,"lastUsedAt":0,"createdAt":null`)), secret.New(upstreamtest.Secret))
	if !d.LastUsedAt.IsZero() || !d.CreatedAt.IsZero() {
		t.Errorf("a time out of nothing: %+v", d)
	}
}

func TestDetailsOfAnotherServer(t *testing.T) {
	for body, class := range map[string]provider.Class{
		`{"status":"UP"}`: provider.WrongServer, `[]`: provider.WrongServer, ``: provider.WrongServer, `"x"`: provider.WrongServer, `null`: provider.WrongServer,
		`<html></html>`: provider.Transient,
	} {
		if _, e := readDetails(answered(200, "", body), secret.New(upstreamtest.Secret)); e == nil || e.Class != class {
			t.Errorf("%s: got %v", body, e)
		}
	}
}

func FuzzDetails(f *testing.F) {
	f.Add(detailsBody(`,"createdAt":1700000000,"lastUsedAt":0,"expiresAt":1800000000000`))
	f.Add(detailsBody(`,"expiresAt":"1800000000","deactivated":"true"`))
	f.Add(`{"tokenName":"` + upstreamtest.Secret + `","expiresAt":{},"scope":"a b","allowedScopes":[]}`)
	f.Add(`{"orgId":5,"expiresAt":1e400,"createdAt":"` + upstreamtest.Secret + `"}`)
	f.Fuzz(func(t *testing.T, body string) {
		d, e := readDetails(answered(200, "application/json", body), secret.New(upstreamtest.Secret))
		if e != nil {
			upstreamtest.Presentable(t, e.Message)
			return
		}
		if x := d.Expiry; (x.Never || !x.At.IsZero()) && !x.Known || x.Never && !x.At.IsZero() || x.At.After(noon.Add(upstream.TenYears)) {
			t.Errorf("expiry %+v", x)
		}
		b, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err) // a year beyond 9999, say
		}
		upstreamtest.NoRemains(t, "the details", string(b), upstreamtest.Secret, upstream.LabelRemainSize)
		for _, s := range []string{d.TokenName, d.Username, d.OrgID, d.DeactivatedBy} {
			upstreamtest.Presentable(t, s)
		}
	})
}

func FuzzErrorBody(f *testing.F) {
	for _, status := range []int{400, 404} {
		f.Add(status, "application/json", `{"metadata":"knull","traceId":"x","statusCode":404,"message":"invalid_grant: Invalid refresh token: xxxx...`+upstreamtest.Secret[len(upstreamtest.Secret)-5:]+`","requestId":"0105e0f320064337","moduleCode":"540","cspErrorCode":"540.120-340.800"}`, "5")
	}
	f.Add(400, "application/json", `{"moduleCode":340,"message":"invalid_grant: Invalid refresh token: `+upstreamtest.Secret+`"}`, "")
	f.Add(429, "text/html", "<html>"+upstreamtest.Secret, "Wed, 21 Oct 2026 07:28:00 GMT")
	f.Add(401, "", "", "-1")
	f.Add(403, "application/xml", "<Error minorErrorCode=\"x\"/>", "1e309")
	f.Add(302, "", "", "")
	f.Add(503, "application/json", `["`+upstreamtest.Secret+`"]`, "999999999999")
	f.Fuzz(func(t *testing.T, status int, contentType, body, header string) {
		r := answered(status, contentType, body)
		r.Header.Set("Retry-After", header)
		r.Header.Set("Location", header)
		r.Header.Set("Csp-Request-Id", header)
		e := r.Failure(said(r))
		if e.RetryAfter < 0 || e.RetryAfter > time.Hour || e.Message == "" {
			t.Errorf("got %+v", e)
		}
		if e.Class == provider.Permanent && (!strings.Contains(body, "invalid_") && !strings.Contains(body, `\u`) || status < 400 && status >= 300 || status >= 500) {
			t.Errorf("permanent: %d %q", status, body)
		}
		for _, s := range []string{e.Message, e.Hint, e.Code, e.RequestID} {
			upstreamtest.NoRemains(t, "the error", s, upstreamtest.Secret, upstream.RemainSize)
			upstreamtest.Presentable(t, s)
			if len(s) > 2000 {
				t.Errorf("%d bytes", len(s))
			}
		}
	})
}
