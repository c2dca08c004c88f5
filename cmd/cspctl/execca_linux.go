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

// caFile is a file with the CA of a run, which is gone with this process.
type caFile struct {
	path string
	file *os.File
}

func (c *caFile) remove() { _ = c.file.Close() }

// caFile makes a file of the CAs that are trusted anyway, and that of the run. It
// is in memory and sealed: nothing is left of it, however this process ends.
func (a *app) caFile(run ipc.Run) (*caFile, error) {
	fail := func(err error) error {
		return failed(ipc.CodeInternal, "there can't be a file for the CA of the endpoint: "+reason(err), "")
	}
	pem := append(a.roots(), '\n')
	pem = append(pem, run.CA...)
	fd, err := unix.MemfdCreate("cspctl-ca", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fail(err)
	}
	c := &caFile{"/proc/" + strconv.Itoa(os.Getpid()) + "/fd/" + strconv.Itoa(fd), os.NewFile(uintptr(fd), "cspctl-ca")}
	_, err = c.file.Write(pem)
	if err == nil {
		err = unix.Fchmod(fd, 0o400)
	}
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SEAL|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE)
	}
	if err == nil {
		_, err = os.Stat(c.path)
	}
	if err != nil {
		c.remove()
		return nil, fail(err)
	}
	return c, nil
}

// roots returns the PEM of the CAs that the command would trust otherwise.
func (a *app) roots() []byte {
	if path := a.getenv("SSL_CERT_FILE"); path != "" {
		pem, err := readRoots(path)
		if err != nil {
			a.warn("SSL_CERT_FILE can't be read: "+reason(err), "the command trusts the endpoint of this run alone, and SSL_CERT_DIR")
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
