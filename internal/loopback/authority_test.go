package loopback

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func testAuthority(t *testing.T) authority {
	t.Helper()
	a, err := newAuthority(time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// certificates has a CA issue a certificate with a change.
func (a authority) certificates(t *testing.T, change func(*x509.Certificate)) Certificates {
	t.Helper()
	template := a.server()
	change(template)
	cert, key, err := a.issue(template)
	if err != nil {
		t.Fatal(err)
	}
	return Certificates{CA: encode(typeCertificate, a.cert.Raw), Cert: encode(typeCertificate, cert), Key: encode(typeKey, key)}
}

var elsewhere = map[string]func(*x509.Certificate){
	"another name":       func(c *x509.Certificate) { c.DNSNames = []string{"example.com"} },
	"another name, too":  func(c *x509.Certificate) { c.DNSNames = []string{"localhost", "example.com"} },
	"any name":           func(c *x509.Certificate) { c.DNSNames = []string{"*.com"} },
	"another address":    func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(192, 0, 2, 1).To4()} },
	"an address of IPv6": func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.ParseIP("2001:db8::1")} },
	"an e-mail address":  func(c *x509.Certificate) { c.EmailAddresses = []string{"a@example.com"} },
	"a URI":              func(c *x509.Certificate) { c.URIs = []*url.URL{{Scheme: "https", Host: "example.com"}} },
}

// If the CA's key had been kept by somebody, it would certify nothing but
// loopback.
func TestConstrainedAuthority(t *testing.T) {
	a := testAuthority(t)
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	verify := func(der []byte, usage x509.ExtKeyUsage) error {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		_, err = cert.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{usage}})
		return err
	}
	good, _, err := a.issue(a.server())
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(good, x509.ExtKeyUsageServerAuth); err != nil {
		t.Error(err)
	}
	for name, change := range elsewhere {
		t.Run(name, func(t *testing.T) {
			template := a.server()
			change(template)
			der, _, err := a.issue(template)
			if err != nil {
				t.Fatal(err)
			}
			if err := verify(der, x509.ExtKeyUsageServerAuth); err == nil {
				t.Error("Go accepts it")
			}
			opensslRefuses(t, a, der)
		})
	}
	t.Run("a client", func(t *testing.T) {
		template := a.server()
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		der, _, err := a.issue(template)
		if err != nil {
			t.Fatal(err)
		}
		if err := verify(der, x509.ExtKeyUsageClientAuth); err == nil {
			t.Error("accepted")
		}
	})
	t.Run("a CA below it", func(t *testing.T) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := a.server()
		template.Subject, template.IsCA, template.KeyUsage = pkix.Name{CommonName: "below"}, true, x509.KeyUsageCertSign
		template.ExtKeyUsage, template.DNSNames, template.IPAddresses = nil, nil, nil
		der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		leaf, _, err := authority{cert: cert, key: key}.issue(a.server())
		if err != nil {
			t.Fatal(err)
		}
		below := x509.NewCertPool()
		below.AddCert(cert)
		server, err := x509.ParseCertificate(leaf)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := server.Verify(x509.VerifyOptions{Roots: roots, Intermediates: below}); err == nil {
			t.Error("accepted")
		}
	})
}

// opensslRefuses has OpenSSL, which most tools are made with, look too.
func opensslRefuses(t *testing.T, a authority, der []byte) {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Log("without openssl, which is not here")
		return
	}
	dir := t.TempDir()
	for name, b := range map[string][]byte{"ca.pem": a.cert.Raw, "cert.pem": der} {
		if err := os.WriteFile(filepath.Join(dir, name), encode(typeCertificate, b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, "openssl", "verify", "-CAfile", "ca.pem", "-purpose", "sslserver", "cert.pem")
	c.Dir = dir
	if out, err := c.CombinedOutput(); err == nil || !strings.Contains(string(out), "permitted subtree violation") {
		t.Errorf("openssl: %v: %s", err, out)
	}
}

func TestCheckRefuses(t *testing.T) {
	now := time.Now()
	a := testAuthority(t)
	nothing := func(*x509.Certificate) {}
	good, other := a.certificates(t, nothing), testAuthority(t).certificates(t, nothing)
	if err := good.Check(now); err != nil {
		t.Fatal(err)
	}
	// unconstrained is a CA as any: the same, but for one thing.
	unconstrained := func(change func(*x509.Certificate)) Certificates {
		template := *a.cert
		template.Raw, template.ExtraExtensions, template.Extensions = nil, nil, nil
		change(&template)
		der, err := x509.CreateCertificate(rand.Reader, &template, &template, a.key.Public(), a.key)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return authority{cert: cert, key: a.key}.certificates(t, nothing)
	}
	const notConstrained = "not constrained to loopback"
	tests := map[string]struct {
		c    Certificates
		want string
	}{
		"nothing":              {Certificates{}, "CA certificate is not in PEM"},
		"the CA alone":         {Certificates{CA: good.CA}, "server's certificate is not in PEM"},
		"no key":               {Certificates{CA: good.CA, Cert: good.Cert}, "private key is not in PEM"},
		"not PEM":              {Certificates{CA: []byte("x"), Cert: good.Cert, Key: good.Key}, "CA certificate is not in PEM"},
		"two CAs":              {Certificates{CA: bytes.Join([][]byte{good.CA, other.CA}, nil), Cert: good.Cert, Key: good.Key}, "CA certificate is not in PEM"},
		"a text before":        {Certificates{CA: append([]byte("x\n"), good.CA...), Cert: good.Cert, Key: good.Key}, "CA certificate is not in PEM"},
		"too long":             {Certificates{CA: encode(typeCertificate, make([]byte, maxPEM)), Cert: good.Cert, Key: good.Key}, "CA certificate is not in PEM"},
		"no certificate":       {Certificates{CA: encode(typeCertificate, []byte("x")), Cert: good.Cert, Key: good.Key}, "can't be read"},
		"no key in it":         {Certificates{CA: good.CA, Cert: good.Cert, Key: encode(typeKey, []byte("x"))}, "private key is not the server's"},
		"another's key":        {Certificates{CA: good.CA, Cert: good.Cert, Key: other.Key}, "private key is not the server's"},
		"another's CA":         {Certificates{CA: other.CA, Cert: good.Cert, Key: good.Key}, "not good"},
		"the server's as CA":   {Certificates{CA: good.Cert, Cert: good.Cert, Key: good.Key}, notConstrained},
		"the CA as server's":   {Certificates{CA: good.CA, Cert: good.CA, Key: good.Key}, "not for loopback alone"},
		"a CA without any":     {unconstrained(func(c *x509.Certificate) { c.PermittedDNSDomains, c.PermittedIPRanges = nil, nil }), notConstrained},
		"a CA for more names":  {unconstrained(func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"localhost", "com"} }), notConstrained},
		"a CA for any address": {unconstrained(func(c *x509.Certificate) { c.PermittedIPRanges = nil }), notConstrained},
		"not critical":         {unconstrained(func(c *x509.Certificate) { c.PermittedDNSDomainsCritical = false }), notConstrained},
		"a CA above others":    {unconstrained(func(c *x509.Certificate) { c.MaxPathLen = 1; c.MaxPathLenZero = false }), notConstrained},
		"a CA for everything":  {unconstrained(func(c *x509.Certificate) { c.ExtKeyUsage = nil }), notConstrained},
		"a server and client": {a.certificates(t, func(c *x509.Certificate) {
			c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
		}), "not for loopback alone"},
	}
	for name, change := range elsewhere {
		tests["a server with "+name] = struct {
			c    Certificates
			want string
		}{a.certificates(t, change), "not for loopback alone"}
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if err := test.c.Check(now); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func FuzzCheck(f *testing.F) {
	now := time.Now()
	c, err := NewCertificates(now, time.Hour)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(c.CA, c.Cert, c.Key)
	f.Fuzz(func(t *testing.T, ca, cert, key []byte) {
		got := Certificates{CA: ca, Cert: cert, Key: key}
		if got.Check(now) != nil {
			return
		}
		if _, err := got.ServerConfig(); err != nil {
			t.Errorf("checked, and does not serve: %v", err)
		}
	})
}
