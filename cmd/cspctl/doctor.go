package main

import (
	"errors"
	"flag"

	"github.com/cspctl/cspctl/internal/ipc"
)

var doctorCommand = command{
	name:    "doctor",
	summary: "find out why it does not work, and what mends it",
	help: `
It looks at the socket, the agent, its service, the settings, the files, the
stores, the servers and the clocks. It changes and prompts nothing; an agent that
its service manager starts for whoever asks is started, as by any cspctl.
Each line of the report begins with ok, info, warn or fail; below the latter two
is what mends it. Exit code 0 says that all is well, 1 that something is to be
mended or looked at, 6 that there is no csp-agent to do it.

With -o json it is a document for support: "version", "ok", "time" and "checks",
each with "id", "state", "summary" and, where there is more to say, "subject",
"detail" and "fix". No token, secret or password is in it. It names paths,
the user's name and uid, servers and proxies by their host, and profiles.`,
	examples: "cspctl doctor\ncspctl doctor -o json > doctor.json",
	setup: func(fs *flag.FlagSet) runFunc {
		var output string
		outputVar(fs, &output, "text", "json")
		system := fs.Bool("system", false, "examine the service of the system instead of your own agent")
		return func(a *app, _ []string) error { return runDoctor(a, output, *system) }
	},
	end: endOfOther,
}

// exitStatus is how a program ended that said by itself what was wrong.
type exitStatus int

func (exitStatus) Error() string { return "" }

// runDoctor has csp-agent do it, in the place of cspctl: it takes what cspctl
// does not link, for the sake of its start.
func runDoctor(a *app, output string, system bool) error {
	args := []string{"doctor", "-o", output, "--client", ipc.Version}
	if system {
		args = append(args, "--system")
	}
	return a.handOver(ipc.FindAgent(a.getenv), args)
}

// handOver has csp-agent take the place of cspctl.
func (a *app) handOver(exe string, args []string) error {
	if exe == "" {
		return failed(ipc.CodeAgent, "there is no csp-agent, which does this", "put csp-agent beside cspctl or on PATH")
	}
	code, err := a.inPlace(exe, args)
	switch {
	case err != nil:
		return failed(ipc.CodeAgent, exe+" can't be run: "+reason(err), "install cspctl and csp-agent anew, from the same release")
	case code != exitDone:
		return exitStatus(code)
	}
	return nil
}

// endOfOther is the exit code of a command that another program did.
func endOfOther(a *app, err error) int {
	if code, ok := errors.AsType[exitStatus](err); ok {
		return int(code)
	}
	a.fail(err)
	return exitCode(err)
}
