package csp

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

// CloseIdle closes the connections that no call is using. After the machine
// slept, such connections look alive and are dead.
func (c *Client) CloseIdle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.transports {
		t.CloseIdleConnections()
	}
}

// transport returns the transport that trusts ca (PEM, may be empty) besides
// the system's roots and Options.ExtraCA.
func (c *Client) transport(ca []byte) (*http.Transport, error) {
	key := sha256.Sum256(ca)
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.transports[key]; t != nil {
		return t, nil
	}
	roots, err := c.roots(ca)
	if err != nil {
		return nil, err
	}
	if len(c.transports) >= maxTransports {
		for k, t := range c.transports {
			t.CloseIdleConnections()
			delete(c.transports, k)
		}
	}
	t := c.newTransport(roots)
	c.transports[key] = t
	return t, nil
}

// roots returns nil for the system's own roots: only then do macOS and Windows
// verify with everything their own verifier knows.
func (c *Client) roots(ca []byte) (*x509.CertPool, error) {
	if len(ca) == 0 && len(c.o.ExtraCA) == 0 {
		return nil, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		c.o.Log.Warn("the system's certificates can't be read", "error", err)
		pool = x509.NewCertPool()
	}
	for _, pem := range [][]byte{ca, c.o.ExtraCA} {
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

func (c *Client) newTransport(roots *x509.CertPool) *http.Transport {
	dialer := &net.Dialer{Timeout: c.o.DialTimeout, KeepAlive: 15 * time.Second}
	return &http.Transport{
		Proxy:                  c.o.Proxy,
		OnProxyConnectResponse: checkProxy,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    c.o.TLSTimeout,
		ResponseHeaderTimeout:  c.o.HeaderTimeout,
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConnsPerHost:    2,
		IdleConnTimeout:        90 * time.Second,
		ForceAttemptHTTP2:      true,
		// A connection that died in silence is found by these pings (T8).
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
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
