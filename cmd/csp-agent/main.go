// Command csp-agent keeps API tokens in a store, exchanges them for access
// tokens and serves those over a Unix socket. Package agent is its heart; this
// command puts the parts together.
package main

import (
	"fmt"
	"os"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/launch"
)

const usage = `Usage: csp-agent run

Keeps API tokens of VMware Cloud Services, and serves access tokens over a
Unix socket. cspctl starts it when it is needed.

Commands:
  run        serve until SIGTERM or SIGINT; SIGHUP reads the settings again
  version    print the version
  help       print this
`

func main() { os.Exit(command(os.Args[1:])) }

func command(args []string) int {
	switch {
	case len(args) > 0 && args[0] == launch.Verb: // a program for the user, on its way out of the agent
		return launch.Exec(args[1:])
	case len(args) == 1 && args[0] == "run":
		return run()
	case len(args) == 1 && (args[0] == "version" || args[0] == "--version"):
		fmt.Println("csp-agent", ipc.Version)
		return 0
	case len(args) == 1 && (args[0] == "help" || args[0] == "--help" || args[0] == "-h"):
		fmt.Print(usage)
		return 0
	}
	fmt.Fprintln(os.Stderr, "csp-agent: error: wrong usage\ncsp-agent: hint: csp-agent help")
	return 2
}
