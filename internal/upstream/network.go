package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/cspctl/cspctl/internal/provider"
)

// unreachable tells why no answer came. All of it is transient: networks come
// back, and certificates are replaced, without a change to the profile.
func (p *pool) unreachable(req *http.Request, err error, clean Cleaner) *provider.Error {
	e := Fail(provider.Transient, "", "", err)
	e.NotSent = notSent(err)
	host := req.URL.Host
	if p.proxyTrouble(e, req, err, clean) || tlsTrouble(e, host, err) {
		return e
	}
	var timeout net.Error
	dns, isDNS := errors.AsType[*net.DNSError](err)
	switch {
	case errors.Is(err, context.Canceled):
		e.Message = "the call to " + host + " was cancelled"
	case isDNS && dns.IsNotFound:
		e.Message = "host not found: " + host
		e.Hint = "check --server, and whether a VPN or proxy is needed"
	case isDNS:
		e.Message = "the name " + host + " can't be looked up now"
		e.Hint = "check the network connection"
	case errors.As(err, &timeout) && timeout.Timeout():
		e.Message = host + " did not answer in time"
		e.Hint = "check the network connection, and whether a VPN or proxy is needed"
	default:
		e.Message = "can't reach " + host + ": " + clean.Text(err.Error(), MaxText)
		e.Hint = "check the network connection, and whether a VPN or proxy is needed"
	}
	return e
}

// notSent reports whether the call failed before its request was sent: at the
// name, the connection, the proxy or the certificate.
func notSent(err error) bool {
	op, isOp := errors.AsType[*net.OpError](err)
	_, isDNS := errors.AsType[*net.DNSError](err)
	_, isProxy := errors.AsType[*errProxyRefused](err)
	_, isCertificate := errors.AsType[*tls.CertificateVerificationError](err)
	return isOp && op.Op == "dial" || isDNS || isProxy || isCertificate
}

// proxyTrouble reports whether the proxy is to blame.
func (p *pool) proxyTrouble(e *provider.Error, req *http.Request, err error, clean Cleaner) bool {
	proxy, proxyErr := p.o.Proxy(req)
	if proxyErr != nil {
		e.Message = "the proxy setting is not a URL"
		e.Hint = "check HTTPS_PROXY and the proxy in the settings"
		return true
	}
	if proxy == nil {
		return false
	}
	e.Hint = "check HTTPS_PROXY, NO_PROXY and the proxy in the settings"
	op, isOp := errors.AsType[*net.OpError](err)
	refused, isRefused := errors.AsType[*errProxyRefused](err)
	switch {
	case isRefused && refused.status == http.StatusProxyAuthRequired:
		e.Message = "the proxy " + proxy.Host + " wants a user and password (407)"
	case isRefused:
		e.Message = fmt.Sprintf("the proxy %s does not connect to %s (%d)", proxy.Host, req.URL.Host, refused.status)
	case isOp && (op.Op == "proxyconnect" || strings.HasPrefix(op.Op, "socks")):
		e.Message = "can't reach the proxy " + proxy.Host + ": " + clean.Text(err.Error(), MaxText)
	default:
		e.Hint = ""
		return false
	}
	return true
}

// tlsTrouble reports whether the connection could not be trusted.
func tlsTrouble(e *provider.Error, host string, err error) bool {
	const caHint = "if the server has a certificate of your own organization, log in with --ca-file; else something between may be reading the connection"
	unknown, isUnknown := errors.AsType[x509.UnknownAuthorityError](err)
	wrongHost, isWrongHost := errors.AsType[x509.HostnameError](err)
	invalid, isInvalid := errors.AsType[x509.CertificateInvalidError](err)
	_, isVerify := errors.AsType[*tls.CertificateVerificationError](err)
	_, isRecord := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case isInvalid && invalid.Reason == x509.Expired && invalid.Cert != nil:
		e.Message = "the certificate of " + host + " is valid from " + Day(invalid.Cert.NotBefore) + " to " + Day(invalid.Cert.NotAfter) + " only"
		e.Hint = "check this machine's clock; if it is right, the server needs a new certificate"
	case isWrongHost:
		e.Message = "the certificate of " + host + " is for another name"
		if wrongHost.Certificate != nil && len(wrongHost.Certificate.DNSNames) > 0 {
			e.Message += ": " + Cleaner{}.Text(wrongHost.Certificate.DNSNames[0], 80)
		}
		e.Hint = "check --server; " + caHint
	case isUnknown:
		e.Message = "the certificate of " + host + " is signed by an unknown authority"
		if unknown.Cert != nil {
			e.Message += ": " + Cleaner{}.Text(unknown.Cert.Issuer.CommonName, 80)
		}
		e.Hint = caHint
	case isVerify || isInvalid:
		e.Message = "the certificate of " + host + " can't be verified"
		e.Hint = caHint
	case isRecord:
		e.Message = host + " does not speak TLS on this port"
		e.Hint = "check --server"
	default:
		return false
	}
	e.Message = strings.TrimRight(e.Message, ": ")
	return true
}

// Day is a date in messages.
func Day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
