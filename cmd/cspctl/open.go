package main

import (
	"flag"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
)

var openCommand = command{
	name:    "open",
	args:    []arg{{name: "PROFILE", optional: true, kind: profileArg}},
	summary: "open the page in the browser where a new API token is made",
	help: `
It is the page of API tokens in the console of the profile's server; for Cloud
Director the portal, whose user preferences have them. A new token is stored by
cspctl login PROFILE.

On Linux the browser is that of xdg-open, else $BROWSER; without a display it is
$BROWSER alone.`,
	examples: "cspctl open prod && cspctl login prod\ncspctl open --print",
	setup: func(fs *flag.FlagSet) runFunc {
		show := fs.Bool("print", false, "print the page's URL and open nothing")
		return func(a *app, args []string) error { return runOpen(a, args, *show) }
	},
}

// browserWait is for how long a browser may fail. One that stays in the
// foreground has not.
const browserWait = 1500 * time.Millisecond

func runOpen(a *app, args []string, show bool) error {
	name, err := a.profile(args)
	if err != nil {
		return err
	}
	p, err := knownProfile(a.agent(), name)
	if err != nil {
		return err
	}
	page := p.RenewURL
	switch {
	case page == "":
		return failed(ipc.CodeInternal, "no page is known where a secret for profile "+p.Name+" is made", "ask whoever runs "+p.Server+"; then: cspctl login "+p.Name)
	case !ipc.IsPage(page): // it comes from the settings of a profile, and goes to a program
		return failed(ipc.CodeInternal, "the page of profile "+p.Name+" is not one to open: "+quote(page), "it must be https, or http on this machine")
	case show:
		return a.print(page + "\n")
	}
	exe, words, err := browser(a.getenv, page)
	byHand := "open it by hand: " + page
	if err != nil {
		return failed(ipc.CodeInternal, err.Error(), byHand)
	}
	a.note("opening " + page)
	how, err := ipc.Detached(exe, words, browserWait)
	switch {
	case err != nil:
		return failed(ipc.CodeInternal, "the browser can't be started: "+exe+": "+reason(err), byHand)
	case how != "" && how != "exit status 0":
		return failed(ipc.CodeInternal, "the browser was not opened: "+exe+" ended with "+how, byHand)
	}
	return nil
}
