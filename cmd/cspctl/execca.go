package main

import (
	"os"

	"github.com/cspctl/cspctl/internal/atomicfile"
	"github.com/cspctl/cspctl/internal/ipc"
)

// maxRoots bounds a file of CAs, in bytes. Usual are 200 kB.
const maxRoots = 16 << 20

// caFile is a file with the CA of a run behind those that are trusted anyway, and
// the variables from which programs take it. It is gone with the run.
type caFile struct {
	path string
	vars []ipc.ToolVar
	done []func()
}

func (c *caFile) remove() {
	for _, f := range c.done {
		f()
	}
}

// caFile makes the file for a run.
//
// OpenSSL, and Go on Linux, take it from SSL_CERT_FILE. curl does so only where
// neither CURL_CA_BUNDLE nor SSL_CERT_DIR is set, and Python's requests not at
// all: it takes REQUESTS_CA_BUNDLE, or else CURL_CA_BUNDLE. One of them that is
// set has CAs of its own, and gets a file of its own.
//
// Where the CAs of the system are no file that all take (see namesRoots), only
// those of the variables that are set already get another value.
func (a *app) caFile(run ipc.Run) (*caFile, error) {
	c := &caFile{}
	paths := map[string]string{} // by the file of CAs that it adds to
	add := func(name, roots string) (string, error) {
		path, ok := paths[roots]
		if ok {
			return path, nil
		}
		path, done, err := lendFile(append(append(a.roots(name, roots), '\n'), run.CA...))
		if err != nil {
			c.remove()
			return "", failed(ipc.CodeInternal, "there can't be a file for the CA of the endpoint: "+reason(err), "")
		}
		c.done, paths[roots] = append(c.done, done), path
		return path, nil
	}
	var err error
	if c.path, err = add("SSL_CERT_FILE", a.getenv("SSL_CERT_FILE")); err != nil {
		return nil, err
	}
	for _, name := range []string{"SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"} {
		roots := a.getenv(name)
		switch info, err := os.Stat(roots); {
		case roots == "" && (name == "REQUESTS_CA_BUNDLE" || !namesRoots):
			continue
		case roots != "" && name != "SSL_CERT_FILE" && err == nil && info.IsDir():
			continue // to a folder nothing can be added
		case roots == "":
			roots = a.getenv("SSL_CERT_FILE")
		}
		path, err := add(name, roots)
		if err != nil {
			return nil, err
		}
		c.vars = append(c.vars, ipc.ToolVar{Name: name, Value: path})
	}
	return c, nil
}

// roots returns the PEM of the CAs that the command would trust otherwise: those
// of the file that a variable names, or of the system.
func (a *app) roots(name, path string) []byte {
	if path == "" {
		return systemRoots()
	}
	pem, err := atomicfile.Read(path, maxRoots)
	if err != nil {
		a.warn(name+" can't be read: "+reason(err), "the command trusts the endpoint of this run alone, and SSL_CERT_DIR")
	}
	return pem
}
