//go:build unix

package main

import "github.com/cspctl/cspctl/internal/atomicfile"

// rootFiles are where crypto/x509 looks for the CAs of a Linux system, in that
// order. macOS has the last one, without what was added to the keychain.
var rootFiles = []string{
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/ca-bundle.pem",
	"/etc/pki/tls/cacert.pem",
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
	"/etc/ssl/cert.pem",
}

func systemRoots() []byte {
	for _, path := range rootFiles {
		if pem, err := atomicfile.Read(path, maxRoots); err == nil {
			return pem
		}
	}
	return nil
}
