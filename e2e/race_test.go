//go:build race && unix

package e2e_test

// The agent and the simulator are built with the race detector if the tests
// are.
func init() { buildFlags = append(buildFlags, "-race") }
