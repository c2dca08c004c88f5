// Package vcd is the client of VMware Cloud Director. It turns API tokens, the
// tokens of service accounts, and users' passwords into access tokens, and gets
// the proxy token of a session. It has no policy: it never retries, caches or
// stores, but for the API version that a server speaks.
//
// The endpoints are those of the Cloud Director OpenAPI on
// developer.broadcom.com, and /oauth, which is not versioned.
package vcd

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/upstream"
)

const requestID = "X-Vmware-Vcloud-Request-Id"

// base is what the providers of this package have in common.
type base struct{ up *upstream.Client }

// CloseIdle closes the connections that no call is using.
func (b base) CloseIdle() { b.up.CloseIdle() }

// Details returns provider.ErrNoDetails: Cloud Director tells nothing about a
// secret.
func (b base) Details(context.Context, provider.Credential) (provider.Details, error) {
	return provider.Details{}, provider.ErrNoDetails
}

// Origin turns what a person types for a server into its origin. What people
// copy along from their browser or from other tools' settings is dropped: a
// path of /api, /cloudapi, /provider or /tenant/ORG.
func (b base) Origin(server string) (string, error) {
	server = strings.TrimSpace(server)
	if server == "" {
		return "", errors.New("name the Cloud Director server with --server, like vcd.example.com")
	}
	scheme, rest, ok := strings.Cut(server, "://")
	if !ok {
		scheme, rest = "https", server
	}
	host, path, _ := strings.Cut(rest, "/")
	first, _, _ := strings.Cut(path, "/")
	switch first {
	case "api", "cloudapi", "provider", "tenant":
		if !strings.ContainsAny(path, "?#") {
			server = scheme + "://" + host
		}
	}
	return upstream.ParseServer(server)
}

// system reports whether org is that of the provider, to which other paths lead.
func system(org string) bool { return strings.EqualFold(org, "System") }

// noOrg is the error of a profile that names no organization.
func noOrg() *provider.Error {
	return upstream.Fail(provider.Permanent, "the organization is missing",
		"log in again with --org NAME (the provider's is called System)", nil)
}

// noExtras refuses a request for what Cloud Director does not have, before the
// server is asked: asking may use up a rotating token.
func noExtras(req provider.Request) *provider.Error {
	if req.Plain() {
		return nil
	}
	return upstream.Fail(provider.Refused, "Cloud Director takes no scope and no passcode", "leave out --scope, --resource-scope-file and --passcode", nil)
}

// pathEscape makes one segment of a path of a name. No name is a dot segment.
func pathEscape(name string) string {
	if strings.Trim(name, ".") == "" {
		return strings.ReplaceAll(name, ".", "%2E")
	}
	return url.PathEscape(name)
}
