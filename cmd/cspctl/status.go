package main

import (
	"flag"

	"github.com/cspctl/cspctl/internal/ipc"
)

var statusCommand = command{
	name:    "status",
	summary: "show the agent, its stores and every profile",
	help: `
For each profile: its state, the life that its access token has left, when the
next renewal is due, the life that its API token has left, and the last error.
States: ready (a good token is cached), idle (none was asked for of late),
failing (the last exchange failed, the next may not), refused (the server
refuses the secret: log in again), passcode (each exchange needs one), logged
out (there is no secret).
No agent is started for it: exit 6 says that none runs.

With --watch it goes on, and shows every second what is new, until Ctrl-C or q.`,
	examples: "cspctl status\ncspctl status --watch",
	setup: func(fs *flag.FlagSet) runFunc {
		var output string
		outputVar(fs, &output, "table", "json")
		watch := fs.Bool("watch", false, "keep showing it, in place of what the terminal shows")
		return func(a *app, _ []string) error { return runStatus(a, output, *watch) }
	},
}

func runStatus(a *app, output string, watch bool) error {
	switch {
	case !watch:
	case output == "json":
		return usage("--watch shows a table, not JSON", "leave out --watch, and call it as often as you need")
	case !a.isTerminal(1):
		return usage("--watch draws on a terminal, and stdout is none", "leave out --watch, or don't redirect stdout")
	case a.getenv("TERM") == "dumb":
		return usage("--watch draws on a terminal, and TERM says that this one can't (dumb)", "leave out --watch, or set TERM to the terminal's name")
	}
	st, err := askStatus(a.runningAgent())
	switch {
	case err != nil:
		return err
	case watch:
		return runWatch(a, st)
	case output == "json":
		return a.printJSON(struct {
			Schema int `json:"schema"`
			ipc.Status
		}{schema, *st})
	}
	v := a.view()
	if a.isTerminal(1) {
		v.width = a.columns()
	}
	return a.print(v.text(st))
}

func askStatus(c *ipc.Client) (*ipc.Status, error) {
	var st ipc.Status
	if err := c.Call("GET", "/v1/status", nil, &st); err != nil {
		return nil, err
	}
	return &st, nil
}
