// Command csp-agent keeps API tokens in a store, exchanges them for access
// tokens and serves those over a Unix socket. Package agent is its heart; this
// command puts the parts together.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/launch"
	"github.com/cspctl/cspctl/internal/service"
)

// verb is one command of csp-agent.
type verb struct {
	name, summary string
	run           func(args []string) int
}

// verbs are listed as help shows them.
func verbs() []verb {
	return []verb{
		{"run", "serve until SIGTERM or SIGINT; SIGHUP reads the settings again", runVerb},
		{"install", "make it a service, or bring the service up to date; can be repeated", serviceVerb(install)},
		{"uninstall", "remove the service, and nothing of yours", serviceVerb(uninstall)},
		{"start", "start the service", serviceVerb(start)},
		{"stop", "stop the service, or an agent that cspctl started", serviceVerb(stop)},
		{"restart", "replace a running agent, as after an upgrade", serviceVerb(restart)},
		{"status", "say how the service is: exit 0 it runs, or will when asked; 1 it failed; 3 stopped; 4 there is none", serviceVerb(status)},
		{"doctor", "find out why it does not work, and what mends it", runDoctor},
		{"kubeconfig", "have a context of kubectl's log in by cspctl; see cspctl kubeconfig", runKubeconfig},
		{"version", "print the version", func([]string) int { fmt.Println("csp-agent", ipc.Version); return 0 }},
		{"help", "print this", func([]string) int { fmt.Print(usage()); return 0 }},
	}
}

func usage() string {
	text := `Usage: csp-agent COMMAND [--user|--system]

Keeps API tokens of VMware Cloud Services, and serves access tokens over a
Unix socket. cspctl starts it when it is needed; as a service it starts with
the first cspctl after login, and warns of API tokens that expire without one.

Commands:
`
	for _, v := range verbs() {
		text += fmt.Sprintf("  %-11s %s\n", v.name, v.summary)
	}
	return text + `
A service is the user's own (--user), unless it is the machine's (--system): for
builds and for hosts that many share.
`
}

func main() { os.Exit(command(filepath.Base(os.Args[0]), os.Args[1:])) }

func command(name string, args []string) int {
	switch {
	case name == generator:
		return generate(args)
	case len(args) > 0 && args[0] == launch.Verb: // a program for the user, on its way out of the agent
		return launch.Exec(args[1:])
	case len(args) == 0:
		return wrongUsage()
	}
	word := map[string]string{"--version": "version", "--help": "help", "-h": "help"}[args[0]]
	if word == "" {
		word = args[0]
	}
	for _, v := range verbs() {
		if v.name == word {
			return v.run(args[1:])
		}
	}
	return wrongUsage()
}

func wrongUsage() int {
	fmt.Fprintln(os.Stderr, "csp-agent: error: wrong usage\ncsp-agent: hint: csp-agent help")
	return 2
}

// complain prints an error, and what to do if that is known.
func complain(err error, hint string) {
	fmt.Fprintln(os.Stderr, "csp-agent: error:", err)
	if hint != "" {
		fmt.Fprintln(os.Stderr, "csp-agent: hint:", hint)
	}
}

func runVerb(args []string) int {
	switch scope, ok := scopeOf(args); {
	case !ok:
		return wrongUsage()
	case scope == service.System:
		return run(findSystemFiles)
	}
	return run(findFiles)
}

// scopeOf reads --user, the default, or --system.
func scopeOf(args []string) (scope service.Scope, ok bool) {
	if len(args) == 0 {
		return service.User, true
	}
	switch strings.TrimPrefix(args[0], "-") {
	case "-user":
		return service.User, len(args) == 1
	case "-system":
		return service.System, len(args) == 1
	}
	return service.User, false
}
