package main

import (
	"flag"
	"strings"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/term"
)

var profileCommand = command{
	name:    "profile",
	summary: "list, show, choose, rename and remove profiles",
	help:    "A profile is a named credential with its provider and server. cspctl login makes one.",
	below:   []*command{&profileList, &profileShow, &profileUse, &profileRename, &profileRemove},
}

var profileList = command{
	name:    "list",
	summary: "list the profiles; a star marks the default one",
	setup: func(fs *flag.FlagSet) runFunc {
		var output string
		outputVar(fs, &output, "table", "json")
		return func(a *app, _ []string) error {
			list, err := profiles(a.agent())
			if err != nil {
				return err
			}
			if output == "json" {
				return a.printJSON(struct {
					Schema   int           `json:"schema"`
					Profiles []ipc.Profile `json:"profiles"`
				}{schema, append([]ipc.Profile{}, list...)}) // [] rather than null
			}
			if len(list) == 0 {
				a.note("there are no profiles")
				a.say("hint", "log in: cspctl login")
				return nil
			}
			return a.print(profileTable(list, a.now()))
		}
	},
}

func profileTable(list []ipc.Profile, now time.Time) string {
	var t term.Table
	t.Row("PROFILE", "PROVIDER", "SERVER", "USER", "ORG", "STORE", "API TOKEN")
	for _, p := range list {
		t.Row(starred(p), p.Provider, p.Server, either(p.Username, p.User), p.Org, p.Store, expiryText(p.APIToken, now))
	}
	return t.String()
}

func starred(p ipc.Profile) string {
	if p.Default {
		return p.Name + " *"
	}
	return p.Name
}

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// expiryText says when an API token ends.
func expiryText(e *ipc.Expiry, now time.Time) string {
	switch {
	case e == nil:
		return "-"
	case e.Never:
		return "never expires"
	case e.ExpiresAt == nil:
		return "unknown"
	case !e.ExpiresAt.After(now):
		return "expired " + term.Relative(*e.ExpiresAt, now)
	}
	return term.Span(e.ExpiresAt.Sub(now)) + " left"
}

var profileShow = command{
	name:    "show",
	args:    []arg{{name: "PROFILE", optional: true, kind: profileArg}},
	summary: "show one profile",
	setup: func(fs *flag.FlagSet) runFunc {
		var output string
		outputVar(fs, &output, "table", "json")
		return func(a *app, args []string) error {
			name, err := a.profile(args)
			if err != nil {
				return err
			}
			p, err := knownProfile(a.agent(), name)
			if err != nil {
				return err
			}
			if output == "json" {
				return a.printJSON(struct {
					Schema int `json:"schema"`
					ipc.Profile
				}{schema, p})
			}
			return a.print(profileSheet(&p, a.now()))
		}
	},
}

// profileSheet returns what is known of a profile, a line for each fact.
func profileSheet(p *ipc.Profile, now time.Time) string {
	var t term.Table
	add := func(name, value string) {
		if value != "" {
			t.Row(name, value)
		}
	}
	add("profile", starred(*p))
	add("provider", p.Provider)
	add("server", p.Server)
	add("org", p.Org)
	add("user", either(p.Username, p.User))
	add("client id", p.ClientID)
	add("token name", p.TokenName)
	add("scope", strings.Join(p.Scope, " "))
	add("store", p.Store)
	add("ca sha256", p.CASHA256)
	if !p.LoggedIn.IsZero() {
		add("logged in", stamp(p.LoggedIn, now))
	}
	switch e := p.APIToken; {
	case e == nil:
	case e.ExpiresAt != nil:
		add("expires", stamp(*e.ExpiresAt, now))
	default:
		add("expires", expiryText(e, now))
	}
	return t.String()
}

// stamp returns a time for people: to the minute, and as seen from now.
func stamp(t, now time.Time) string {
	return t.UTC().Format("2006-01-02 15:04 UTC") + " (" + term.Relative(t, now) + ")"
}

var profileUse = command{
	name:    "use",
	args:    []arg{{name: "PROFILE", kind: profileArg}},
	summary: "make a profile the default one",
	setup: func(*flag.FlagSet) runFunc {
		return func(a *app, args []string) error {
			name, err := a.profile(args)
			if err != nil {
				return err
			}
			if err := a.agent().Call("POST", profilePath(name, "use"), nil, nil); err != nil {
				return err
			}
			if env := a.getenv("CSPCTL_PROFILE"); env != "" && env != name {
				a.warn("CSPCTL_PROFILE is set in this shell and goes before the default profile", "unset CSPCTL_PROFILE")
			}
			return nil
		}
	},
}

var profileRename = command{
	name:    "rename",
	args:    []arg{{name: "PROFILE", kind: profileArg}, {name: "NEW"}},
	summary: "give a profile another name",
	setup: func(*flag.FlagSet) runFunc {
		return func(a *app, args []string) error {
			for _, name := range args {
				if err := ipc.CheckName(name); err != nil {
					return err
				}
			}
			return a.agent().Call("POST", a.attended(profilePath(args[0], "rename")), ipc.RenameRequest{To: args[1]}, nil)
		}
	},
}

var profileRemove = command{
	name:    "remove",
	args:    []arg{{name: "PROFILE", kind: profileArg}},
	summary: "forget a profile: its secret, its tokens and its settings",
	setup: func(fs *flag.FlagSet) runFunc {
		yes := fs.Bool("yes", false, "don't ask")
		return func(a *app, args []string) error {
			name, err := a.profile(args)
			if err != nil {
				return err
			}
			if !*yes {
				sure, err := a.confirm("remove profile "+name+" and its secret?", "--yes")
				if err != nil {
					return err
				}
				if !sure {
					return failed(ipc.CodeInternal, "nothing was removed", "")
				}
			}
			return a.agent().Call("DELETE", a.attended(profilePath(name)), nil, nil)
		}
	},
}
