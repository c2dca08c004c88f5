package loopback

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"net"
	"time"
)

// Certificates are what a server on loopback needs for https during one run.
type Certificates struct {
	CA   []byte // PEM: what clients trust for that time
	Cert []byte // PEM: the server's certificate
	Key  []byte // PEM, PKCS #8: the server's private key
}

const (
	commonName = "cspctl exec, one run"
	hostname   = "localhost"

	// clockSkew is how far the clock may be put back after the certificates
	// were made; after boot without network, say.
	clockSkew = time.Hour
)

// The addresses that the CA may certify, and those of the server.
func loopbackNets() []*net.IPNet {
	return []*net.IPNet{
		{IP: net.IPv4(127, 0, 0, 0).To4(), Mask: net.CIDRMask(8, 32)},
		{IP: net.IPv6loopback, Mask: net.CIDRMask(128, 128)},
	}
}

func loopbackIPs() []net.IP { return []net.IP{net.IPv4(127, 0, 0, 1).To4(), net.IPv6loopback} }

// NewCertificates makes a CA and has it certify one server, for 127.0.0.1, ::1
// and localhost, from an hour before now until life after it. The CA's private
// key is nowhere but in this call, so nothing else is ever certified; and if it
// were, the CA's name constraints (RFC 5280, 4.2.1.10) permit nothing but
// loopback.
func NewCertificates(now time.Time, life time.Duration) (Certificates, error) {
	if life <= 0 {
		return Certificates{}, errors.New("certificates need a life")
	}
	a, err := newAuthority(now, life)
	if err != nil {
		return Certificates{}, err
	}
	cert, key, err := a.issue(a.server())
	if err != nil {
		return Certificates{}, err
	}
	return Certificates{CA: encode(typeCertificate, a.cert.Raw), Cert: encode(typeCertificate, cert), Key: encode(typeKey, key)}, nil
}

const (
	typeCertificate = "CERTIFICATE"
	typeKey         = "PRIVATE KEY"
)

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// authority is a CA while it has its private key.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(now time.Time, life time.Duration) (authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return authority{}, err
	}
	template := &x509.Certificate{
		// Each has a name of its own: in a file with CAs of several runs, some
		// programs look for the issuer by name alone.
		Subject:               pkix.Name{CommonName: commonName, SerialNumber: rand.Text()},
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              now.Add(life),
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true, // it certifies no other CA
		KeyUsage:              x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		// Names of a kind of which none is permitted would all be allowed, so
		// each kind that can be constrained is. Neither localhost nor a name
		// below it is ever elsewhere (RFC 6761, 6.3).
		PermittedDNSDomainsCritical: true, // of all constraints
		PermittedDNSDomains:         []string{hostname},
		PermittedIPRanges:           loopbackNets(),
		PermittedEmailAddresses:     []string{hostname},
		PermittedURIDomains:         []string{hostname},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return authority{}, err
	}
	cert, err := x509.ParseCertificate(der)
	return authority{cert: cert, key: key}, err
}

// server is the certificate of a server on loopback, to be issued.
func (a authority) server() *x509.Certificate {
	return &x509.Certificate{
		Subject:               pkix.Name{CommonName: commonName + ", " + hostname},
		NotBefore:             a.cert.NotBefore,
		NotAfter:              a.cert.NotAfter,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:              []string{hostname},
		IPAddresses:           loopbackIPs(),
	}
}

// issue certifies a new key, and returns both in DER.
func (a authority) issue(template *x509.Certificate) (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if cert, err = x509.CreateCertificate(rand.Reader, template, a.cert, private.Public(), a.key); err != nil {
		return nil, nil, err
	}
	key, err = x509.MarshalPKCS8PrivateKey(private)
	return cert, key, err
}

// ServerConfig returns the configuration of a server with that certificate: TLS
// 1.2 or newer, and HTTP/1.1 alone, which every tool speaks, and where a
// connection is one client's. It hands out no session tickets, so there are no
// keys of theirs to keep or to lose when the agent starts again. To keep
// net/http from adding HTTP/2, serve it by tls.NewListener and Server.Serve,
// not by ServeTLS.
func (c Certificates) ServerConfig() (*tls.Config, error) {
	pair, err := tls.X509KeyPair(c.Cert, c.Key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		Certificates:           []tls.Certificate{pair},
		MinVersion:             tls.VersionTLS12,
		NextProtos:             []string{"http/1.1"},
		SessionTicketsDisabled: true,
	}, nil
}
