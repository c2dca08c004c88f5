package main

import (
	"encoding/pem"
	"unsafe"

	"golang.org/x/sys/windows"
)

// trustCommand has the user's programs trust the CA in a file, distrustCommand no
// longer that of a name.
const (
	trustCommand    = "certutil -user -addstore Root"
	distrustCommand = "certutil -user -delstore Root"
)

// systemRoots are those of the user's and the machine's store, as PEM:
// https://learn.microsoft.com/windows/win32/api/wincrypt/nf-wincrypt-certopensystemstorew
func systemRoots() (roots []byte) {
	store, err := windows.CertOpenSystemStore(0, windows.StringToUTF16Ptr("ROOT"))
	if err != nil {
		return nil
	}
	defer func() { _ = windows.CertCloseStore(store, 0) }()
	var cert *windows.CertContext
	for len(roots) < maxRoots {
		if cert, err = windows.CertEnumCertificatesInStore(store, cert); err != nil { // or there is no more
			return roots
		}
		roots = append(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: unsafe.Slice(cert.EncodedCert, cert.Length)})...)
	}
	_ = windows.CertFreeCertificateContext(cert)
	return roots
}
