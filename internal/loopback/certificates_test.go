package loopback_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/loopback"
)

func newCertificates(t *testing.T, now time.Time) loopback.Certificates {
	t.Helper()
	c, err := loopback.NewCertificates(now, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func parsed(t *testing.T, text []byte) *x509.Certificate {
	t.Helper()
	block, rest := pem.Decode(text)
	if block == nil || len(rest) > 0 {
		t.Fatalf("not one block: %s", text)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestCertificates(t *testing.T) {
	now := time.Now()
	c := newCertificates(t, now)
	if err := c.Check(now); err != nil {
		t.Error(err)
	}
	ca, cert := parsed(t, c.CA), parsed(t, c.Cert)
	if other := parsed(t, newCertificates(t, now).CA); bytes.Equal(other.RawSubject, ca.RawSubject) {
		t.Errorf("two runs have the same CA: %s", ca.Subject)
	}
	for _, name := range []string{ca.Subject.CommonName, cert.Subject.CommonName} {
		if !strings.HasPrefix(name, "cspctl exec, one run") {
			t.Errorf("called %q", name)
		}
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	for name, fine := range map[string]bool{
		"127.0.0.1": true, "::1": true, "localhost": true,
		"127.0.0.2": false, "example.com": false, "a.localhost": false, "192.0.2.1": false,
	} {
		_, err := cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: now})
		if (err == nil) != fine {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The key fits nothing but the server's certificate: the CA's is gone.
	if _, err := tls.X509KeyPair(c.CA, c.Key); err == nil {
		t.Error("the CA has the server's key")
	}
	if n := bytes.Count(bytes.Join([][]byte{c.CA, c.Cert, c.Key}, nil), []byte("PRIVATE KEY-----\n")); n != 2 { // begin and end
		t.Errorf("%d lines of private keys", n)
	}
	for _, life := range []time.Duration{0, -time.Hour} {
		if _, err := loopback.NewCertificates(now, life); err == nil {
			t.Errorf("made for %v", life)
		}
	}
}

func TestCertificatesEndWithTheRun(t *testing.T) {
	now := time.Now()
	c := newCertificates(t, now)
	for _, test := range []struct {
		after time.Duration
		fine  bool
	}{{-2 * time.Hour, false}, {-59 * time.Minute, true}, {59 * time.Minute, true}, {61 * time.Minute, false}} {
		if err := c.Check(now.Add(test.after)); (err == nil) != test.fine {
			t.Errorf("after %v: %v", test.after, err)
		}
	}
}

// serve answers https on loopback, and returns the port.
func serve(t *testing.T, c loopback.Certificates) string {
	t.Helper()
	config, err := c.ServerConfig()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{
		Handler:  http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "%s over %s", r.Host, r.Proto) }),
		ErrorLog: nil, ReadHeaderTimeout: time.Minute,
	}
	go s.Serve(tls.NewListener(l, config))
	t.Cleanup(func() { s.Close() })
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

func TestServerSpeaksHTTP1Alone(t *testing.T) {
	c := newCertificates(t, time.Now())
	port := serve(t, c)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(c.CA)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}}
	defer client.CloseIdleConnections()
	for _, host := range []string{"127.0.0.1", "localhost"} {
		reply, err := client.Get("https://" + host + ":" + port + "/")
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(reply.Body)
		reply.Body.Close()
		if want := host + ":" + port + " over HTTP/1.1"; string(body) != want {
			t.Errorf("got %q, want %q", body, want)
		}
	}
	_, err := tls.Dial("tcp", "127.0.0.1:"+port, &tls.Config{RootCAs: roots, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10})
	if err == nil {
		t.Error("TLS 1.1 was accepted")
	}
}

// caFile writes a CA to a file.
func caFile(t *testing.T, c loopback.Certificates) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, c.CA, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// What tools are made of accepts the certificates, by either name, and nothing
// that trusts another CA does.
func TestToolsAccept(t *testing.T) {
	c := newCertificates(t, time.Now())
	port, ca, other := serve(t, c), caFile(t, c), caFile(t, newCertificates(t, time.Now()))
	const python = `import ssl, sys, urllib.request
context = ssl.create_default_context(cafile=sys.argv[1])
print(urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)).open(sys.argv[2]).read().decode())`
	for _, tool := range []struct {
		name string
		args func(ca, host string) []string
		want string // %s is host:port
	}{
		{"curl", func(ca, host string) []string {
			return []string{"-q", "-sS", "--noproxy", "*", "--cacert", ca, "https://" + host + ":" + port + "/"}
		}, "%s over HTTP/1.1"},
		{"openssl", func(ca, host string) []string {
			verify := "-verify_hostname"
			if host == "127.0.0.1" {
				verify = "-verify_ip"
			}
			return []string{"s_client", "-connect", "127.0.0.1:" + port, "-CAfile", ca, "-verify_return_error", "-x509_strict", verify, host}
		}, "Verify return code: 0 (ok)"},
		{"python3", func(ca, host string) []string {
			return []string{"-c", python, ca, "https://" + host + ":" + port + "/"}
		}, "%s over HTTP/1.1"},
	} {
		t.Run(tool.name, func(t *testing.T) {
			if _, err := exec.LookPath(tool.name); err != nil {
				t.Skipf("needs %s", tool.name)
			}
			run := func(ca, host string) (string, error) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				out, err := exec.CommandContext(ctx, tool.name, tool.args(ca, host)...).CombinedOutput()
				return string(out), err
			}
			for _, host := range []string{"127.0.0.1", "localhost"} {
				out, err := run(ca, host)
				want := strings.ReplaceAll(tool.want, "%s", host+":"+port)
				if err != nil || !strings.Contains(out, want) {
					t.Errorf("%s: %v: %s", host, err, out)
				}
			}
			if out, err := run(other, "127.0.0.1"); err == nil {
				t.Errorf("accepted with the CA of another run: %s", out)
			}
		})
	}
}
