// Package upstream is what the clients of upstream servers have in common:
// connections, one bounded call, the meaning of its failures, and the reading
// of answers that can't be trusted to be well-formed. It speaks the language of
// no server and has no policy: it never retries, caches or stores.
package upstream

import (
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/cspctl/cspctl/internal/provider"
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

// Client calls servers. It may be used by several goroutines, and shared by
// the clients of several kinds of server.
type Client struct{ pool atomic.Pointer[pool] }

// New returns a client. Nothing is dialled, read or checked before the first call.
func New(o Options) *Client {
	c := &Client{}
	c.pool.Store(newPool(o))
	return c
}

// Set puts other options in force, for the calls that begin from now on. A
// call under way ends with the options that it began with.
func (c *Client) Set(o Options) { c.pool.Swap(newPool(o)).closeIdle() }

// CloseIdle closes the connections that no call is using. After the machine
// slept, such connections look alive and are dead.
func (c *Client) CloseIdle() { c.pool.Load().closeIdle() }

func (o Options) withDefaults() Options {
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
			return nil, nil // loopback: a proxy would read the secret
		}
		return proxy(r)
	}
	return o
}

func defaultTo[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Fail builds the error of a call that went wrong before a server was asked.
func Fail(class provider.Class, message, hint string, cause error) *provider.Error {
	return &provider.Error{Class: class, Message: message, Hint: hint, Err: cause}
}
