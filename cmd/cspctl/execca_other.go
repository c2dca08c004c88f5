//go:build !linux

package main

import (
	"os"

	"github.com/cspctl/cspctl/internal/ipc"
)

// caName is what the agent calls the CA of a run (internal/loopback).
const caName = "cspctl exec, one run"

// namesRoots: the system's CAs are in a keychain or a store, which SSL_CERT_FILE
// would hide from programs that look there and in a file.
const namesRoots = false

// lendFile returns the path of a file for other processes of the user.
func lendFile(content []byte) (path string, done func(), err error) {
	f, err := os.CreateTemp("", "cspctl-ca-*.pem")
	if err != nil {
		return "", nil, err
	}
	path, done = f.Name(), func() { _ = os.Remove(f.Name()) }
	_, err = f.Write(content)
	if bad := f.Close(); err == nil {
		err = bad
	}
	if err != nil {
		done()
		return "", nil, err
	}
	return path, done, nil
}

// sayOfCA says what remains: neither system has a variable that Go's programs
// look at.
func (a *app) sayOfCA(c *caFile, run ipc.Run) {
	path, done, err := lendFile([]byte(run.CA)) // alone: what trusts it takes one of a file
	if err != nil {
		return // as the one for its settings would have been
	}
	c.done = append(c.done, done)
	a.warn("the command must be told to trust the CA of this run, which is in "+path,
		`if it takes a CA file from a variable: --env NAME=ca-file, which has the system's CAs too; else run a shell this way, and in it, before the command: `+
			trustCommand+` "`+path+`", and after it: `+distrustCommand+` "`+caName+`"`)
}
