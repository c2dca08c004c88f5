package loopback

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"
)

// maxPEM bounds each part, in bytes; NewCertificates makes about 900 of them.
const maxPEM = 4 << 10

// Check returns an error unless these are certificates as NewCertificates makes
// them, good at that time: the key fits the server's certificate, which is for
// loopback alone and issued by the CA, which is constrained to loopback. They
// may come from anybody: a run hands them back to an agent that has started
// again.
func (c Certificates) Check(now time.Time) error {
	ca, err := parse("CA", c.CA)
	if err != nil {
		return err
	}
	cert, err := parse("server's", c.Cert)
	if err != nil {
		return err
	}
	if err := decoded("private key", typeKey, c.Key); err != nil {
		return err
	}
	switch {
	case !isConstrained(ca):
		return errors.New("the CA certificate is not constrained to loopback")
	case !isForLoopback(cert):
		return errors.New("the server's certificate is not for loopback alone")
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}); err != nil {
		return fmt.Errorf("the server's certificate is not good: %w", err)
	}
	if _, err := tls.X509KeyPair(c.Cert, c.Key); err != nil {
		return fmt.Errorf("the private key is not the server's: %w", err)
	}
	return nil
}

func parse(what string, text []byte) (*x509.Certificate, error) {
	if err := decoded(what+" certificate", typeCertificate, text); err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the %s certificate can't be read: %w", what, err)
	}
	if len(cert.UnhandledCriticalExtensions) > 0 {
		return nil, fmt.Errorf("the %s certificate has extensions that are unknown here", what)
	}
	return cert, nil
}

// decoded returns an error unless the text is one PEM block, as encode writes
// it, and nothing else.
func decoded(what, kind string, text []byte) error {
	if len(text) <= maxPEM {
		if block, _ := pem.Decode(text); block != nil && bytes.Equal(encode(kind, block.Bytes), text) {
			return nil
		}
	}
	return fmt.Errorf("the %s is not in PEM as expected", what)
}

// isConstrained reports whether a CA is constrained exactly as newAuthority
// does it.
func isConstrained(ca *x509.Certificate) bool {
	key, ok := ca.PublicKey.(*ecdsa.PublicKey)
	local := []string{hostname}
	nets := func(a, b *net.IPNet) bool { return a.String() == b.String() }
	return ok && key.Curve == elliptic.P256() &&
		ca.BasicConstraintsValid && ca.IsCA && ca.MaxPathLenZero && ca.KeyUsage == x509.KeyUsageCertSign && isServer(ca) &&
		ca.PermittedDNSDomainsCritical &&
		slices.Equal(ca.PermittedDNSDomains, local) && slices.Equal(ca.PermittedEmailAddresses, local) && slices.Equal(ca.PermittedURIDomains, local) &&
		slices.EqualFunc(ca.PermittedIPRanges, loopbackNets(), nets)
}

func isForLoopback(cert *x509.Certificate) bool {
	ips := func(a, b net.IP) bool { return a.Equal(b) }
	return !cert.IsCA && isServer(cert) && len(cert.EmailAddresses) == 0 && len(cert.URIs) == 0 &&
		slices.Equal(cert.DNSNames, []string{hostname}) && slices.EqualFunc(cert.IPAddresses, loopbackIPs(), ips)
}

func isServer(cert *x509.Certificate) bool {
	return slices.Equal(cert.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}) && len(cert.UnknownExtKeyUsage) == 0
}
