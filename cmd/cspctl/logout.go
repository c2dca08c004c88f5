package main

import (
	"errors"
	"flag"

	"github.com/cspctl/cspctl/internal/ipc"
)

var logoutCommand = command{
	name:    "logout",
	args:    []arg{{name: "PROFILE", optional: true, kind: profileArg}},
	summary: "forget a profile's secret and its cached tokens",
	help: `
The profile's settings stay, so that cspctl login PROFILE needs no flags again;
cspctl profile remove forgets them too. The server is not told: tokens that were
given out work until they expire, and so does the API token itself.`,
	examples: "cspctl logout\ncspctl logout prod\ncspctl logout --all",
	setup: func(fs *flag.FlagSet) runFunc {
		all := fs.Bool("all", false, "log out of every profile")
		return func(a *app, args []string) error { return runLogout(a, args, *all) }
	},
}

func runLogout(a *app, args []string, all bool) error {
	c := a.ownAgent()
	if !all {
		name, err := a.named(c, args)
		if err != nil {
			return err
		}
		return c.Call("POST", a.attended(profilePath(name, "logout")), nil, nil)
	}
	if len(args) > 0 {
		return usage("logout takes PROFILE or --all, not both", "")
	}
	list, err := profiles(c)
	if err != nil {
		return err
	}
	var first error // the others are logged out all the same
	for _, p := range list {
		err := c.Call("POST", a.attended(profilePath(p.Name, "logout")), nil, nil)
		if err == nil || codeOf(err) == ipc.CodeNotLoggedIn {
			continue
		}
		if first == nil {
			first = aboutProfile(p.Name, err)
			continue
		}
		a.warn("profile "+p.Name+": "+err.Error(), "")
	}
	return first
}

// aboutProfile names the profile in an error that stands for one of several.
func aboutProfile(name string, err error) error {
	e, ok := errors.AsType[*ipc.Error](err)
	if !ok {
		return err
	}
	named := *e
	named.Message = "profile " + name + ": " + e.Message
	return &named
}
