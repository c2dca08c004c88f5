package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
)

func someDetails() ipc.ProfileDetails {
	return ipc.ProfileDetails{
		Profile: "prod", Provider: "csp", Server: "https://csp.example", CheckedAt: noon,
		Details: ipc.Details{
			TokenID: "id-1", TokenName: "ci\x1b[2J", OrgID: "acme", UserID: "user-1", Username: "jo", Acct: "jo@example.com", Domain: "example.com",
			Scope: []string{"ALL_PERMISSIONS", "openid"},
			AllowedScopes: &ipc.AllowedScopes{
				General:      []string{"openid"},
				Organization: &ipc.ScopeSet{AllRoles: true, KeptInToken: []string{"x"}},
				Services: []provider.ServiceScope{{ServiceDefinitionID: "vmc", ScopeSet: ipc.ScopeSet{
					Roles:       []provider.Role{{Name: "operator"}, {Name: "admin", Resource: "sddc-1"}},
					Permissions: []provider.Permission{{ID: "read", Resources: []string{"a", "b"}}},
				}}},
			},
			CreatedAt: noon.Add(-72 * time.Hour), Expiry: provider.Expiry{Known: true, At: noon.Add(48 * time.Hour)},
			Deactivated: true, DeactivatedBy: "boss", DeactivatedOn: noon.Add(-time.Hour),
			RawTimes: map[string]string{"expiresAt": "1778068800"},
		},
	}
}

func TestDetails(t *testing.T) {
	f := newAgent(t)
	f.profiles("prod")
	f.json("GET /v1/profiles/prod/details", someDetails())
	r := shell{agent: f}.run(t, "details")
	r.want(t, 0)
	want := `profile     prod
server      https://csp.example
token name  ci?[2J
token id    id-1
user        jo
account     jo@example.com
user id     user-1
domain      example.com
org         acme
scope       ALL_PERMISSIONS
            openid
allowed     general: openid
            organization: all roles
            organization: kept in the token: x
            service vmc: role operator
            service vmc: role admin on sddc-1
            service vmc: permission read on a, b
created     2026-05-01 12:00 UTC (3d ago)
last used   never
expires     2026-05-06 12:00 UTC (in 2d)
state       deactivated by boss on 2026-05-04 11:00 UTC (1h ago)
`
	if r.stdout != want {
		t.Errorf("got\n%s\nwant\n%s", r.stdout, want)
	}
	if got := strings.Join(f.asked(), "; "); got != "GET /v1/profile?name=; GET /v1/profiles/prod/details" {
		t.Errorf("asked %s", got)
	}
}

func TestDetailsOfATokenWithoutEnd(t *testing.T) {
	f := newAgent(t)
	d := someDetails()
	d.Expiry, d.Deactivated = provider.Expiry{Known: true, Never: true}, false
	f.json("GET /v1/profiles/prod/details", d)
	d.Expiry = provider.Expiry{}
	f.json("GET /v1/profiles/other/details", d)
	for name, want := range map[string]string{"prod": "expires     never\nstate       active\n", "other": "expires     the server did not say\n"} {
		if r := (shell{agent: f}).run(t, "details", name); !strings.Contains(r.stdout, want) {
			t.Errorf("%s: got\n%s", name, r.stdout)
		}
	}
}

func TestDetailsJSON(t *testing.T) {
	f := newAgent(t)
	f.json("GET /v1/profiles/prod/details", someDetails())
	r := shell{agent: f}.run(t, "details", "prod", "-o", "json")
	var got struct {
		Schema  int
		OrgID   string `json:"org_id"`
		Profile string
		Expiry  struct {
			Known, Never bool
			At           time.Time
		}
		RawTimes map[string]string `json:"raw_times"`
	}
	if err := json.Unmarshal([]byte(r.stdout), &got); err != nil || got.Schema != 1 || got.Profile != "prod" || got.OrgID != "acme" ||
		!got.Expiry.Known || !got.Expiry.At.Equal(noon.Add(48*time.Hour)) || got.RawTimes["expiresAt"] != "1778068800" {
		t.Errorf("%v: %s", err, r.stdout)
	}
	if strings.Contains(r.stdout, "\x1b") {
		t.Error("a control character is printed")
	}
}

func TestDetailsAndInspectFail(t *testing.T) {
	f := newAgent(t)
	f.profiles()
	f.refuse("GET /v1/profiles/vcd/details", ipc.CodeNoDetails, "profile vcd is of provider vcd, which tells nothing about its secrets", "see")
	f.refuse("GET /v1/profiles/gone/details", ipc.CodeRefused, "it expired", "cspctl login gone")
	f.refuse("GET /v1/profiles/gone/inspect", ipc.CodeRefused, "it expired", "cspctl login gone")
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"details vcd", 1, "tells nothing"},
		{"details gone", 4, "it expired"},
		{"inspect gone", 4, "it expired"},
		{"details", 3, "there is no profile yet"},
		{"inspect ../x", 2, "name"},
		{"inspect -o gold", 2, "not one of table, json"},
		{"details a b", 2, "too many"},
	} {
		shell{agent: f}.run(t, strings.Fields(c.args)...).want(t, c.code, c.says)
	}
}

// A keychain may show its dialog where a person waits, and only there.
func TestDetailsAndInspectSayThatAPersonWaits(t *testing.T) {
	f := newAgent(t)
	f.json("GET /v1/profiles/prod/details", someDetails())
	f.json("GET /v1/profiles/prod/inspect", anInspection())
	shell{agent: f, terminals: [3]bool{2: true}}.run(t, "details", "prod").want(t, 0)
	shell{agent: f}.run(t, "inspect", "prod").want(t, 0)
	if got := strings.Join(f.asked(), "; "); got != "GET /v1/profiles/prod/details?interactive=true; GET /v1/profiles/prod/inspect" {
		t.Errorf("asked %s", got)
	}
}
