// Cspctl asks csp-agent for access tokens and prints them.
//
// It parses, asks and prints; all the rest is csp-agent's work. It starts in
// about the time of an empty program, since it runs once per request of many
// scripts: see deps_test.go for what it must not link, and why.
package main

import "os"

func main() {
	os.Exit(run(commands, system(), os.Args[1:]))
}
