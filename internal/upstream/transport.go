package upstream

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// maxTransports bounds the number of private CAs in use at once.
const maxTransports = 16

// CheckCA returns an error unless pem holds at least one certificate.
func CheckCA(pem []byte) error {
	if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		return errors.New("the CA file holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)")
	}
	return nil
}

// pool is the connections that one set of options makes.
type pool struct {
	o  Options
	mu sync.Mutex
	// One transport per private CA, by the SHA-256 of its PEM: a CA trusted for
	// one profile must vouch for no other's server.
	transports map[[sha256.Size]byte]*http.Transport
}

func newPool(o Options) *pool {
	return &pool{o: o.withDefaults(), transports: map[[sha256.Size]byte]*http.Transport{}}
}

func (p *pool) closeIdle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.transports {
		t.CloseIdleConnections()
	}
}

// transport returns the transport that trusts ca (PEM, may be empty) besides
// the system's roots and Options.ExtraCA.
func (p *pool) transport(ca []byte) (*http.Transport, error) {
	key := sha256.Sum256(ca)
	p.mu.Lock()
	defer p.mu.Unlock()
	if t := p.transports[key]; t != nil {
		return t, nil
	}
	roots, err := p.roots(ca)
	if err != nil {
		return nil, err
	}
	if len(p.transports) >= maxTransports {
		for k, t := range p.transports {
			t.CloseIdleConnections()
			delete(p.transports, k)
		}
	}
	t := p.newTransport(roots)
	p.transports[key] = t
	return t, nil
}

// roots returns nil for the system's own roots: only then do macOS and Windows
// verify with everything their own verifier knows.
func (p *pool) roots(ca []byte) (*x509.CertPool, error) {
	if len(ca) == 0 && len(p.o.ExtraCA) == 0 {
		return nil, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		p.o.Log.Warn("the system's certificates can't be read", "error", err)
		pool = x509.NewCertPool()
	}
	for _, pem := range [][]byte{ca, p.o.ExtraCA} {
		if len(pem) == 0 {
			continue
		}
		if err := CheckCA(pem); err != nil {
			return nil, err
		}
		pool.AppendCertsFromPEM(pem)
	}
	return pool, nil
}

var protocols = func() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	return p
}()

func (p *pool) newTransport(roots *x509.CertPool) *http.Transport {
	dialer := &net.Dialer{Timeout: p.o.DialTimeout, KeepAlive: 15 * time.Second}
	return &http.Transport{
		Proxy:                  p.o.Proxy,
		OnProxyConnectResponse: checkProxy,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    p.o.TLSTimeout,
		ResponseHeaderTimeout:  p.o.HeaderTimeout,
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConnsPerHost:    2,
		IdleConnTimeout:        90 * time.Second,
		// HTTP/1.1 alone. One exchange in half an hour has nothing to multiplex, a
		// dead HTTP/2 connection is found late (T8), and net/http's HTTP/2 writes
		// whole bodies, secrets included, to the log where GODEBUG=http2debug=2
		// is in the environment.
		Protocols: protocols,
	}
}

// errProxyRefused is a proxy's answer other than 200 to CONNECT.
type errProxyRefused struct{ status int }

func (e *errProxyRefused) Error() string {
	return fmt.Sprintf("the proxy answered %d %s", e.status, http.StatusText(e.status))
}

func checkProxy(_ context.Context, _ *url.URL, _ *http.Request, r *http.Response) error {
	if r.StatusCode != http.StatusOK {
		return &errProxyRefused{r.StatusCode}
	}
	return nil
}
