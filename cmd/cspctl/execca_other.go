//go:build !linux

package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"github.com/cspctl/cspctl/internal/atomicfile"
	"github.com/cspctl/cspctl/internal/ipc"
)

// caFile is a file with the CA of a run alone. It has no secret in it.
type caFile struct {
	path string
	vars []ipc.ToolVar // none: there is no variable that would be looked at
}

func (c *caFile) remove() { _ = os.Remove(c.path) }

func (a *app) caFile(run ipc.Run) (*caFile, error) {
	c := &caFile{path: filepath.Join(a.runFolder(), "ca-"+strconv.Itoa(os.Getpid())+".pem")}
	if err := atomicfile.Write(c.path, []byte(run.CA)); err != nil {
		return nil, failed(ipc.CodeInternal, "there can't be a file for the CA of the endpoint: "+reason(err), "")
	}
	return c, nil
}

// runFolder is the folder of the agent's socket, or on Windows, where that is in
// none, of the agent's files.
func (a *app) runFolder() string {
	if runtime.GOOS == "windows" {
		return filepath.Join(a.getenv("LOCALAPPDATA"), "cspctl")
	}
	socket, err := ipc.SocketPath(a.getenv)
	if err != nil {
		return os.TempDir()
	}
	return filepath.Dir(socket)
}

// sayOfCA says what remains: neither system has a variable that Go's programs
// look at.
func (a *app) sayOfCA(path string) {
	how := "trust it for the run: security add-trusted-cert -k login.keychain " + path
	if runtime.GOOS == "windows" {
		how = "trust it for the run: certutil -user -addstore Root " + path
	}
	a.warn("the command must be told to trust the CA of this run, which is in "+path, "if it has a setting for a CA file, use that; else "+how)
}
