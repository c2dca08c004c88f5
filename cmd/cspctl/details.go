package main

import (
	"flag"
	"strings"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/term"
)

var detailsCommand = command{
	name:    "details",
	args:    []arg{{name: "PROFILE", optional: true, kind: profileArg}},
	summary: "show what the server says about a profile's API token",
	help: `
Whose it is, what it may do, when it was made and used, when it expires, and
whether it was deactivated; never the token itself. The server is asked each
time. It tells nothing about a token that has expired.`,
	examples: "cspctl details prod\ncspctl details -o json",
	setup: func(fs *flag.FlagSet) runFunc {
		var output string
		outputVar(fs, &output, "table", "json")
		return func(a *app, args []string) error { return runDetails(a, args, output) }
	},
}

func runDetails(a *app, args []string, output string) error {
	c := a.agent()
	name, err := a.named(c, args)
	if err != nil {
		return err
	}
	var d ipc.ProfileDetails
	if err := c.Call("GET", a.attended(profilePath(name, "details")), nil, &d); err != nil {
		return err
	}
	if output == "json" {
		return a.printJSON(struct {
			Schema int `json:"schema"`
			ipc.ProfileDetails
		}{schema, d})
	}
	return a.print(detailsSheet(&d, a.now(), term.StyleFor(a.isTerminal(1), a.getenv)))
}

// sheet is a table of facts: a name and a value a line. What is not known is
// left out.
type sheet struct{ term.Table }

func (s *sheet) add(name, value string) { s.look(name, value, nil) }

func (s *sheet) look(name, value string, look func(string) string) {
	if value != "" {
		s.Cells(term.Cell{Text: name}, term.Cell{Text: value, Look: look})
	}
}

// lines adds a fact of several lines, its name before the first.
func (s *sheet) lines(name string, lines []string) {
	for _, l := range lines {
		s.Row(name, l)
		name = ""
	}
}

// at adds a time; else is said of the zero one.
func (s *sheet) at(name string, t, now time.Time, otherwise string) {
	if t.IsZero() {
		s.add(name, otherwise)
		return
	}
	s.add(name, stamp(t, now))
}

func detailsSheet(d *ipc.ProfileDetails, now time.Time, s term.Style) string {
	var t sheet
	t.add("profile", d.Profile)
	t.add("server", d.Server)
	t.add("token name", d.TokenName)
	t.add("token id", d.TokenID)
	t.add("user", either(d.Username, d.Acct))
	if d.Acct != either(d.Username, d.Acct) {
		t.add("account", d.Acct)
	}
	t.add("user id", d.UserID)
	t.add("domain", d.Domain)
	t.add("identity provider", d.IdPID)
	t.add("org", d.OrgID)
	t.lines("scope", d.Scope)
	if d.AllowedScopes != nil {
		t.lines("allowed", allowedLines(*d.AllowedScopes))
	}
	t.at("created", d.CreatedAt, now, "")
	t.at("last used", d.LastUsedAt, now, "never")
	switch e := d.Expiry; {
	case !e.Known:
		t.look("expires", "the server did not say", s.Yellow)
	case e.Never:
		t.add("expires", "never")
	default:
		t.look("expires", stamp(e.At, now), expiryLook(&ipc.Expiry{ExpiresAt: &e.At}, now, s))
	}
	if d.Deactivated {
		text := "deactivated"
		if d.DeactivatedBy != "" {
			text += " by " + d.DeactivatedBy
		}
		if !d.DeactivatedOn.IsZero() {
			text += " on " + stamp(d.DeactivatedOn, now)
		}
		t.look("state", text, s.Red)
	} else {
		t.look("state", "active", s.Green)
	}
	return t.String()
}

// allowedLines says in words what access tokens may do.
func allowedLines(a ipc.AllowedScopes) []string {
	var lines []string
	for _, g := range a.General {
		lines = append(lines, "general: "+g)
	}
	set := func(where string, s ipc.ScopeSet) {
		if s.AllRoles {
			lines = append(lines, where+": all roles")
		}
		if s.AllPermissions {
			lines = append(lines, where+": all permissions")
		}
		for _, r := range s.Roles {
			lines = append(lines, where+": role "+on(r.Name, r.Resource))
		}
		for _, p := range s.Permissions {
			lines = append(lines, where+": permission "+on(p.ID, p.Resources...))
		}
		if len(s.KeptInToken) > 0 {
			lines = append(lines, where+": kept in the token: "+strings.Join(s.KeptInToken, ", "))
		}
	}
	if a.Organization != nil {
		set("organization", *a.Organization)
	}
	for _, svc := range a.Services {
		set("service "+svc.ServiceDefinitionID, svc.ScopeSet)
	}
	return lines
}

// on adds the resources that a right is limited to.
func on(right string, resources ...string) string {
	if list := strings.Join(resources, ", "); list != "" {
		return right + " on " + list
	}
	return right
}
