package main

import (
	"flag"
	"strconv"
	"strings"
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
	case !isWebPage(page): // it comes from the settings of a profile, and goes to a program
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

// isWebPage reports whether a URL may be handed to another program: https, or
// http on this machine, in the characters of RFC 3986 alone. It can then be no
// option, no other scheme and no word of a shell but one.
func isWebPage(url string) bool {
	const others = "-._~:/?#[]@!$&()*+,;=%" // without the quote
	for i := range len(url) {
		c := url[i]
		if ('a' > c || c > 'z') && ('A' > c || c > 'Z') && ('0' > c || c > '9') && strings.IndexByte(others, c) < 0 {
			return false
		}
	}
	scheme, rest, _ := strings.Cut(url, "://")
	host := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		host = rest[:i]
	}
	if strings.ContainsRune(host, '@') || len(url) > 2048 {
		return false
	}
	name := host
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		name = host[:i]
		if !isNumber(host[i+1:], 1, 65535) {
			return false
		}
	}
	return scheme == "https" && name != "" || scheme == "http" && isLoopback(name)
}

// isLoopback reports whether a host is this machine: RFC 6761 for the name, RFC
// 1122 and 4291 for the addresses.
func isLoopback(host string) bool {
	if host == "localhost" || host == "[::1]" {
		return true
	}
	parts := strings.Split(host, ".")
	if len(parts) != 4 || parts[0] != "127" {
		return false
	}
	for _, p := range parts {
		if !isNumber(p, 0, 255) {
			return false
		}
	}
	return true
}

// isNumber reports whether s is a number in digits, from least to most.
func isNumber(s string, least, most int) bool {
	n, err := strconv.Atoi(s)
	return err == nil && strings.Trim(s, "0123456789") == "" && n >= least && n <= most
}
