package main

import "flag"

var socketCommand = command{
	name:     "socket",
	summary:  "print the path of the agent's socket",
	help:     "The path is printed whether or not an agent answers there.",
	examples: `curl --unix-socket "$(cspctl socket)" http://agent/v1/status`,
	setup: func(*flag.FlagSet) runFunc {
		return func(a *app, _ []string) error {
			path, err := a.runningAgent().SocketPath()
			if err != nil {
				return err
			}
			return a.print(path + "\n")
		}
	},
}
