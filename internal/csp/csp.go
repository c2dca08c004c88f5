// Package csp is the client of VMware Cloud Services' gateway (CSP). It
// exchanges API tokens, and the secrets of OAuth apps, for access tokens, and
// asks what the server knows about an API token. It has no policy: it never
// retries, caches or stores.
//
// The endpoints are those of "Identity and Access Management - CSP" on
// developer.broadcom.com. The secret travels in the body, or for an app in the
// Authorization header, and never across a redirect.
package csp

import (
	"github.com/cspctl/cspctl/internal/secret"
	"github.com/cspctl/cspctl/internal/upstream"
)

// DefaultServer is the console whose API tokens most people hold.
const DefaultServer = "https://console.cloud.vmware.com"

const (
	authorizePath    = "/csp/gateway/am/api/auth/api-tokens/authorize"
	detailsPath      = "/csp/gateway/am/api/auth/api-tokens/details"
	appAuthorizePath = "/csp/gateway/am/api/auth/authorize"
)

const newToken = "create an API token in the console under My Account > API Tokens, then run cspctl login"

var apiToken = &upstream.System{
	Name:      "Cloud Services",
	Secret:    "API token",
	Wanted:    "an API token is needed, from the console under My Account > API Tokens",
	Renew:     newToken,
	RequestID: "Csp-Request-Id",
}

// Options adjust a Client. The zero value is usable.
type Options = upstream.Options

// Client is the provider of profiles with an API token. It may be used by
// several goroutines.
type Client struct{ up *upstream.Client }

// New returns a client with connections of its own.
func New(o Options) *Client { return APIToken(upstream.New(o)) }

// APIToken returns a client that makes its calls through up.
func APIToken(up *upstream.Client) *Client { return &Client{up} }

// Origin is ParseServer; empty means DefaultServer.
func (c *Client) Origin(server string) (string, error) { return origin(server) }

// CheckSecret is the function of that name.
func (c *Client) CheckSecret(pasted string) (secret.Text, error) { return CheckSecret(pasted) }

// CloseIdle closes the connections that no call is using.
func (c *Client) CloseIdle() { c.up.CloseIdle() }

// ParseServer turns what a person types for a server into its origin.
func ParseServer(s string) (string, error) { return upstream.ParseServer(s) }

// CheckSecret takes an API token as people paste it.
func CheckSecret(pasted string) (secret.Text, error) { return apiToken.CheckSecret(pasted) }

func origin(server string) (string, error) {
	if server == "" {
		server = DefaultServer
	}
	return ParseServer(server)
}
