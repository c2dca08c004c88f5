package main

import (
	"flag"
	"strconv"
	"strings"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/term"
)

var inspectCommand = command{
	name:    "inspect",
	args:    []arg{{name: "PROFILE", optional: true, kind: profileArg}},
	summary: "show what is inside a profile's access token",
	help: `
Whose token it is, what it permits and how long it lives, but not the token. If
none is cached, one is asked for, as by cspctl token.

The signature is checked against the key that the server publishes: valid,
invalid, or unchecked with the reason. cspctl token relies on none of it: the
token came from its server over TLS.`,
	examples: "cspctl inspect prod\ncspctl inspect -o json | jq -r .permissions[]",
	setup: func(fs *flag.FlagSet) runFunc {
		var output string
		outputVar(fs, &output, "table", "json")
		return func(a *app, args []string) error { return runInspect(a, args, output) }
	},
}

func runInspect(a *app, args []string, output string) error {
	c := a.agent()
	name, err := a.named(c, args)
	if err != nil {
		return err
	}
	var in ipc.Inspection
	if err := c.Call("GET", a.attended(profilePath(name, "inspect")), nil, &in); err != nil {
		return err
	}
	if in.Signature.Status == ipc.SignatureInvalid {
		a.warn("the signature of the access token of profile "+in.Profile+" is invalid: "+in.Signature.Reason,
			"check the server: cspctl profile show "+in.Profile)
	}
	if output == "json" {
		return a.printJSON(struct {
			Schema int `json:"schema"`
			ipc.Inspection
		}{schema, in})
	}
	return a.print(inspectSheet(&in, a.now(), term.StyleFor(a.isTerminal(1), a.getenv)))
}

func inspectSheet(in *ipc.Inspection, now time.Time, s term.Style) string {
	var t sheet
	t.add("profile", in.Profile)
	t.add("provider", in.Provider)
	format := in.Format
	if in.Algorithm != "" {
		if in.Algorithm == "none" {
			format += ", not signed"
		} else {
			format += ", signed by " + in.Algorithm
		}
	}
	t.add("format", format)
	t.add("key id", in.KeyID)
	t.add("issuer", in.Issuer)
	t.add("subject", in.Subject)
	t.add("user", either(in.Username, in.Acct))
	if in.Acct != either(in.Username, in.Acct) {
		t.add("account", in.Acct)
	}
	t.add("domain", in.Domain)
	t.add("org", in.Org)
	t.add("client id", in.ClientID)
	t.add("audience", strings.Join(in.Audience, ", "))
	t.lines("scope", in.Scope)
	t.lines("groups", in.Groups)
	t.lines("permissions", permissionLines(in.Permissions))
	t.at("issued", in.IssuedAt, now, "")
	t.at("expires", in.ExpiresAt, now, "")
	if in.ServedUntil.IsZero() {
		t.look("left", "not known", s.Yellow)
	} else {
		t.add("left", term.Span(time.Duration(in.Remaining)*time.Second))
	}
	t.add("server clock", skewText(in.ClockSkew))
	look := map[string]func(string) string{ipc.SignatureValid: s.Green, ipc.SignatureInvalid: s.Red, ipc.SignatureUnchecked: s.Yellow}
	text := in.Signature.Status
	if in.Signature.Reason != "" {
		text += ": " + in.Signature.Reason
	}
	t.look("signature", text, look[in.Signature.Status])
	return t.String()
}

func skewText(seconds *int64) string {
	switch {
	case seconds == nil:
		return ""
	case *seconds == 0:
		return "as this machine's"
	case *seconds > 0:
		return term.Span(time.Duration(*seconds)*time.Second) + " ahead of this machine's"
	}
	return term.Span(time.Duration(-*seconds)*time.Second) + " behind this machine's"
}

// permissionLines groups permissions by what they are for, in the order of
// their first: csp:org_owner, external/SERVICE/ROLE.
func permissionLines(perms []string) []string {
	var order []string
	group := map[string][]string{}
	for _, p := range perms {
		of, what := "other", p
		if rest, ok := strings.CutPrefix(p, "external/"); ok {
			if id, role, ok := strings.Cut(rest, "/"); ok {
				of, what = "service "+id, role
			}
		} else if system, role, ok := strings.Cut(p, ":"); ok {
			of, what = system, role
		}
		if group[of] == nil {
			order = append(order, of)
		}
		group[of] = append(group[of], what)
	}
	var lines []string
	for _, of := range order {
		lines = append(lines, of+": "+strings.Join(group[of], ", "))
	}
	if len(perms) > 20 {
		lines = append(lines, strconv.Itoa(len(perms))+" in all")
	}
	return lines
}
