//go:build race && unix

package e2e_test

// The agent and the simulator are built with the race detector if the tests
// are.
func init() {
	buildFlags = append(buildFlags, "-race", noScrypt)
}

// noScrypt leaves out the arithmetic of scrypt, which takes twice as long with it
// and shares nothing.
const noScrypt = "-gcflags=golang.org/x/crypto/scrypt=-race=false"
