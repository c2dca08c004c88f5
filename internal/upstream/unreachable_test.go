package upstream

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
	"github.com/cspctl/cspctl/internal/upstream/upstreamtest"
)

func TestUnreachableSaysWhy(t *testing.T) {
	req, err := http.NewRequest(http.MethodPost, "https://csp.example.com/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	c := newPool(Options{Proxy: func(*http.Request) (*url.URL, error) { return nil, nil }})
	dial := func(err error) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	old := &x509.Certificate{NotBefore: noon.AddDate(-1, 0, 0), NotAfter: noon.AddDate(0, 0, -1)}
	for _, x := range []struct {
		name          string
		err           error
		message, hint string
	}{
		{"no such host", dial(&net.DNSError{Name: "csp.example.com", Err: "no such host", IsNotFound: true}), "host not found: csp.example.com", "--server"},
		{"no resolver", dial(&net.DNSError{Name: "csp.example.com", Err: "server misbehaving", IsTemporary: true}), "can't be looked up now", "network"},
		{"slow resolver", dial(&net.DNSError{Name: "csp.example.com", Err: "i/o timeout", IsTimeout: true}), "can't be looked up now", "network"},
		{"timeout", dial(context.DeadlineExceeded), "csp.example.com did not answer in time", "VPN"},
		{"cancelled", dial(context.Canceled), "was cancelled", ""},
		{"expired certificate", dial(x509.CertificateInvalidError{Cert: old, Reason: x509.Expired}), "valid from 2025-11-20 to 2026-11-19 only", "clock"},
		{"other certificate trouble", dial(x509.CertificateInvalidError{Reason: x509.TooManyIntermediates}), "can't be verified", "--ca-file"},
		{"unknown authority", dial(x509.UnknownAuthorityError{}), "signed by an unknown authority", "--ca-file"},
		{"another name", dial(x509.HostnameError{Certificate: &x509.Certificate{DNSNames: []string{"x.example\x1b[2J"}}}), "for another name: x.example [2J", "--server"},
		{"anything else", dial(errors.New("odd\nthing " + upstreamtest.Secret)), "can't reach csp.example.com: dial tcp: odd thing", ""},
	} {
		e := c.unreachable(req, x.err, NewCleaner(RemainSize, secret.New(upstreamtest.Secret)))
		if e.Class != provider.Transient || !strings.Contains(e.Message, x.message) || !strings.Contains(e.Hint, x.hint) || !errors.Is(e, x.err) {
			t.Errorf("%s: %+v", x.name, e)
		}
		upstreamtest.NoRemains(t, x.name, e.Message, upstreamtest.Secret, RemainSize)
		upstreamtest.Presentable(t, e.Message)
	}
}

func TestManyPrivateCAsKeepTheCacheBounded(t *testing.T) {
	c := newPool(Options{})
	for i := range maxTransports * 3 {
		// Distinct keys without making certificates: the roots are not asked for.
		c.transports[[32]byte{byte(i), 1}] = &http.Transport{}
		if len(c.transports) >= maxTransports {
			if _, err := c.transport(nil); err != nil {
				t.Fatal(err)
			}
			if len(c.transports) != 1 {
				t.Fatalf("%d transports", len(c.transports))
			}
			clear(c.transports)
		}
	}
}

func TestDefaults(t *testing.T) {
	c := newPool(Options{DialTimeout: time.Second})
	if c.o.DialTimeout != time.Second || c.o.TLSTimeout != 5*time.Second || c.o.HeaderTimeout != 15*time.Second || c.o.CallTimeout != 20*time.Second {
		t.Errorf("%+v", c.o)
	}
	tr, err := c.transport(nil)
	if err != nil {
		t.Fatal(err)
	}
	if tr.Protocols.HTTP2() || !tr.Protocols.HTTP1() {
		t.Error("GODEBUG=http2debug=2 would log the secret (P1)")
	}
	if tr.MaxResponseHeaderBytes == 0 {
		t.Error("headers without bound")
	}
	if tr.TLSClientConfig.RootCAs != nil {
		t.Error("without private CAs, the system's verifier must decide")
	}
}
