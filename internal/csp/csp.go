// Package csp is the client of VMware Cloud Services' gateway (CSP): it
// exchanges API tokens for access tokens and asks what the server knows about
// an API token. It has no policy: it never retries, caches or stores.
//
// The endpoints are those of "Identity and Access Management - CSP" on
// developer.broadcom.com: api-tokens/authorize and api-tokens/details, both
// anonymous. The secret travels in the body alone, and never across a redirect.
package csp

import (
	"crypto/sha256"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/cspctl/cspctl/internal/provider"
)

// DefaultServer is the console whose API tokens most people hold.
const DefaultServer = "https://console.cloud.vmware.com"

const (
	authorizePath = "/csp/gateway/am/api/auth/api-tokens/authorize"
	detailsPath   = "/csp/gateway/am/api/auth/api-tokens/details"
)

// Options adjust a Client. The zero value is usable.
type Options struct {
	UserAgent string                                // default "cspctl"
	Proxy     func(*http.Request) (*url.URL, error) // default http.ProxyFromEnvironment
	ExtraCA   []byte                                // PEM: trusted for all servers, besides the system's roots
	Log       *slog.Logger                          // default none; never gets a secret or a body

	// Bounds of one call. Zero means the default.
	DialTimeout   time.Duration // 5 s
	TLSTimeout    time.Duration // 5 s
	HeaderTimeout time.Duration // 15 s, from the request's end to the answer's header
	CallTimeout   time.Duration // 20 s, all in all
}

// Client calls CSP servers. It may be used by several goroutines.
type Client struct {
	o  Options
	mu sync.Mutex
	// One transport per private CA, by the SHA-256 of its PEM: a CA trusted for
	// one profile must vouch for no other's server.
	transports map[[sha256.Size]byte]*http.Transport
}

// New returns a client. Nothing is dialled, read or checked before the first call.
func New(o Options) *Client {
	defaultTo(&o.UserAgent, "cspctl")
	defaultTo(&o.Log, slog.New(slog.DiscardHandler))
	defaultTo(&o.DialTimeout, 5*time.Second)
	defaultTo(&o.TLSTimeout, 5*time.Second)
	defaultTo(&o.HeaderTimeout, 15*time.Second)
	defaultTo(&o.CallTimeout, 20*time.Second)
	proxy := o.Proxy
	if proxy == nil {
		proxy = http.ProxyFromEnvironment
	}
	o.Proxy = func(r *http.Request) (*url.URL, error) {
		if r.URL.Scheme != "https" {
			return nil, nil // loopback: a proxy would read the API token
		}
		return proxy(r)
	}
	return &Client{o: o, transports: map[[sha256.Size]byte]*http.Transport{}}
}

func defaultTo[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// fail builds the error of a call that went wrong before a server was asked.
func fail(class provider.Class, message, hint string, cause error) *provider.Error {
	return &provider.Error{Class: class, Message: message, Hint: hint, Err: cause}
}
