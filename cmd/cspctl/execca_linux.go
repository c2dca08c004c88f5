package main

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/cspctl/cspctl/internal/ipc"
)

// rootFiles are where crypto/x509 looks for the system's CAs, in that order.
var rootFiles = []string{
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/ca-bundle.pem",
	"/etc/pki/tls/cacert.pem",
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
	"/etc/ssl/cert.pem",
}

// maxRoots bounds the file of the system's CAs, in bytes. Usual are 200 kB.
const maxRoots = 16 << 20

// caFile is a file with the CA of a run, which is gone with this process, and the
// variables from which programs take it.
type caFile struct {
	path  string
	vars  []ipc.ToolVar
	files []*os.File
}

func (c *caFile) remove() {
	for _, f := range c.files {
		_ = f.Close()
	}
}

// caFile makes a file of the CAs that are trusted anyway, and that of the run.
//
// OpenSSL and Go take it from SSL_CERT_FILE. curl does so only where neither
// CURL_CA_BUNDLE nor SSL_CERT_DIR is set, and Python's requests not at all: it
// takes REQUESTS_CA_BUNDLE, or else CURL_CA_BUNDLE. One of them that is set has
// CAs of its own, and gets a file of its own.
func (a *app) caFile(run ipc.Run) (*caFile, error) {
	c := &caFile{}
	paths := map[string]string{} // by the file of CAs that it adds to
	for _, name := range []string{"SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"} {
		roots := a.getenv(name)
		switch info, err := os.Stat(roots); {
		case roots == "" && name == "REQUESTS_CA_BUNDLE", roots != "" && name != "SSL_CERT_FILE" && err == nil && info.IsDir():
			continue // to a folder nothing can be added
		case roots == "" && name == "CURL_CA_BUNDLE":
			roots = a.getenv("SSL_CERT_FILE")
		}
		path, ok := paths[roots]
		if !ok {
			f, err := sealed(append(append(a.roots(name, roots), '\n'), run.CA...))
			if err != nil {
				c.remove()
				return nil, failed(ipc.CodeInternal, "there can't be a file for the CA of the endpoint: "+reason(err), "")
			}
			c.files = append(c.files, f)
			path = pathOf(f)
			paths[roots] = path
		}
		if name == "SSL_CERT_FILE" {
			c.path = path
		}
		c.vars = append(c.vars, ipc.ToolVar{Name: name, Value: path})
	}
	return c, nil
}

// pathOf is where other processes of the user find a file of this one.
func pathOf(f *os.File) string {
	return "/proc/" + strconv.Itoa(os.Getpid()) + "/fd/" + strconv.Itoa(int(f.Fd()))
}

// sealed returns a file in memory that can't be changed: nothing is left of it,
// however this process ends.
func sealed(content []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("cspctl-ca", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "cspctl-ca")
	_, err = f.Write(content)
	if err == nil {
		err = unix.Fchmod(fd, 0o400)
	}
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SEAL|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE)
	}
	if err == nil {
		_, err = os.Stat(pathOf(f))
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// roots returns the PEM of the CAs that the command would trust otherwise: those
// of the file that a variable names, or of the system.
func (a *app) roots(name, path string) []byte {
	if path != "" {
		pem, err := readRoots(path)
		if err != nil {
			a.warn(name+" can't be read: "+reason(err), "the command trusts the endpoint of this run alone, and SSL_CERT_DIR")
		}
		return pem
	}
	for _, path := range rootFiles {
		if pem, err := readRoots(path); err == nil {
			return pem
		}
	}
	return nil
}

func readRoots(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && (!info.Mode().IsRegular() || info.Size() > maxRoots) {
		err = unix.EFBIG
	}
	if err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

// sayOfCA has nothing to say: SSL_CERT_FILE does it.
func (a *app) sayOfCA(string) {}
