package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/term"
)

func anInspection() ipc.Inspection {
	ahead := int64(90)
	return ipc.Inspection{
		Profile: "prod", Provider: "csp", Format: ipc.FormatJWT, Algorithm: "RS256", KeyID: "key-1",
		Issuer: "https://gaz.example", Subject: "example.com:user-1", Username: "jo", Acct: "jo@example.com", Org: "acme", ClientID: "client-1",
		Audience:    []string{"a", "b"},
		Permissions: []string{"csp:org_owner", "external/vmc/operator", "csp:org_member", "external/vmc/reader", "odd"},
		IssuedAt:    noon.Add(-10 * time.Minute), ExpiresAt: noon.Add(20 * time.Minute), ServedUntil: noon.Add(19 * time.Minute), Remaining: 19 * 60,
		ClockSkew: &ahead, Signature: ipc.Signature{Status: ipc.SignatureValid},
	}
}

func TestInspect(t *testing.T) {
	f := newAgent(t)
	f.json("GET /v1/profiles/prod/inspect", anInspection())
	r := shell{agent: f}.run(t, "inspect", "prod")
	r.want(t, 0)
	want := `profile       prod
provider      csp
format        jwt, signed by RS256
key id        key-1
issuer        https://gaz.example
subject       example.com:user-1
user          jo
account       jo@example.com
org           acme
client id     client-1
audience      a, b
permissions   csp: org_owner, org_member
              service vmc: operator, reader
              other: odd
issued        2026-05-04 11:50 UTC (10m ago)
expires       2026-05-04 12:20 UTC (in 20m)
left          19m
server clock  1m ahead of this machine's
signature     valid
`
	if r.stdout != want || r.stderr != "" {
		t.Errorf("got\n%s%s\nwant\n%s", r.stdout, r.stderr, want)
	}
}

func TestInspectSignatures(t *testing.T) {
	for _, form := range []string{"table", "json"} {
		for _, c := range []struct {
			status, reason string
			warns          bool
		}{{ipc.SignatureValid, "", false}, {ipc.SignatureInvalid, "it does not fit", true}, {ipc.SignatureUnchecked, "the token is opaque", false}} {
			f := newAgent(t)
			in := anInspection()
			in.Signature = ipc.Signature{Status: c.status, Reason: c.reason}
			f.json("GET /v1/profiles/prod/inspect", in)
			r := shell{agent: f}.run(t, "inspect", "prod", "-o", form)
			if r.code != 0 || !strings.Contains(r.stdout, c.status) || !strings.Contains(r.stdout, c.reason) {
				t.Errorf("%s as %s: %+v", c.status, form, r)
			}
			if got := strings.Contains(r.stderr, "invalid: it does not fit"); got != c.warns || (r.stderr != "") != c.warns {
				t.Errorf("%s as %s: stderr %q", c.status, form, r.stderr)
			}
		}
	}
}

func TestInspectTokenWithoutSignature(t *testing.T) {
	in := ipc.Inspection{Profile: "prod", Provider: "csp", Format: ipc.FormatJWT, Algorithm: "none"}
	if got := inspectSheet(&in, noon, term.Style{}); !strings.Contains(got, "not signed") || strings.Contains(got, "signed by") {
		t.Errorf("got %s", got)
	}
}

func TestInspectOpaqueToken(t *testing.T) {
	f := newAgent(t)
	f.json("GET /v1/profiles/prod/inspect", ipc.Inspection{Profile: "prod", Provider: "csp", Format: ipc.FormatOpaque,
		Signature: ipc.Signature{Status: ipc.SignatureUnchecked, Reason: "the token is opaque: only the server can read it"}})
	r := shell{agent: f}.run(t, "inspect", "prod")
	want := `profile    prod
provider   csp
format     opaque
left       not known
signature  unchecked: the token is opaque: only the server can read it
`
	if r.stdout != want {
		t.Errorf("got\n%s\nwant\n%s", r.stdout, want)
	}
}

func TestInspectJSON(t *testing.T) {
	f := newAgent(t)
	in := anInspection()
	for i := range 30 {
		in.Permissions = append(in.Permissions, fmt.Sprintf("external/service/role%d", i))
	}
	f.json("GET /v1/profiles/prod/inspect", in)
	r := shell{agent: f}.run(t, "inspect", "prod", "-o", "json")
	var got struct {
		Schema int
		ipc.Inspection
	}
	if err := json.Unmarshal([]byte(r.stdout), &got); err != nil || got.Schema != 1 || len(got.Permissions) != 35 || *got.ClockSkew != 90 {
		t.Errorf("%v: %s", err, r.stdout)
	}
	if r := (shell{agent: f}).run(t, "inspect", "prod"); !strings.Contains(r.stdout, "35 in all") {
		t.Errorf("got %s", r.stdout)
	}
}

func TestSkewText(t *testing.T) {
	at := func(s int64) *int64 { return &s }
	for want, s := range map[string]*int64{"": nil, "as this machine's": at(0), "2h ahead of this machine's": at(7300), "5s behind this machine's": at(-5)} {
		if got := skewText(s); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
