package main

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/cspctl/cspctl/internal/ipc"
)

// namesRoots: the system's CAs are a file, and SSL_CERT_FILE can name another one
// in its place.
const namesRoots = true

// lendFile returns the path of a file for other processes of the user: in memory,
// so that nothing is left of it, however this process ends.
func lendFile(content []byte) (path string, done func(), err error) {
	f, err := memFile("cspctl-ca", unix.MFD_CLOEXEC, content)
	if err != nil {
		return "", nil, err
	}
	path, done = pathOutside(f), func() { _ = f.Close() }
	if _, err := os.Stat(path); err != nil { // no /proc
		done()
		return "", nil, err
	}
	return path, done, nil
}

// sayOfCA has nothing to say: SSL_CERT_FILE does it.
func (a *app) sayOfCA(*caFile, ipc.Run) {}
