package csp

import (
	"context"
	"net/url"
	"strings"

	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
	"github.com/cspctl/cspctl/internal/upstream"
)

var oauthApp = &upstream.System{
	Name:      "Cloud Services",
	Secret:    "secret of the OAuth app",
	Wanted:    "the secret of the OAuth app is needed, from the console under Organization > OAuth Apps",
	Renew:     "regenerate the app's secret in the console under Organization > OAuth Apps, then run cspctl login",
	RequestID: "Csp-Request-Id",
}

// AppClient is the provider of profiles with an OAuth app ("server to server
// app"): client credentials (RFC 6749, section 4.4), the client's id being in
// the binding. It may be used by several goroutines.
type AppClient struct{ up *upstream.Client }

// App returns a client that makes its calls through up.
func App(up *upstream.Client) *AppClient { return &AppClient{up} }

// Origin is ParseServer; empty means DefaultServer.
func (c *AppClient) Origin(server string) (string, error) { return origin(server) }

// CheckSecret takes an app's secret as people paste it.
func (c *AppClient) CheckSecret(pasted string) (secret.Text, error) {
	return oauthApp.CheckSecret(pasted)
}

// CloseIdle closes the connections that no call is using.
func (c *AppClient) CloseIdle() { c.up.CloseIdle() }

// Details returns provider.ErrNoDetails: CSP tells an app nothing about its secret.
func (c *AppClient) Details(context.Context, provider.Credential) (provider.Details, error) {
	return provider.Details{}, provider.ErrNoDetails
}

// Exchange asks for an access token, which lives for one minute to five hours,
// as the app was set up. It makes one request; its error is a *provider.Error.
func (c *AppClient) Exchange(ctx context.Context, cred provider.Credential, req provider.Request) (provider.Token, error) {
	switch {
	case cred.Secret.IsZero():
		return provider.Token{}, oauthApp.NoSecret()
	case cred.ClientID == "":
		return provider.Token{}, upstream.Fail(provider.Permanent, "the id of the OAuth app is missing", "log in again with --client-id", nil)
	case !req.Passcode.IsZero():
		return provider.Token{}, upstream.Fail(provider.Refused, "an OAuth app has no second factor", "leave out --passcode", nil)
	case req.ResourceScope != "":
		return provider.Token{}, upstream.Fail(provider.Refused, "an OAuth app takes no resource scope", "leave out --resource-scope-file", nil)
	}
	body := url.Values{"grant_type": {"client_credentials"}}
	if cred.Org != "" {
		body.Set("orgId", cred.Org)
	}
	if len(req.Scope) > 0 {
		body.Set("scope", strings.Join(req.Scope, " "))
	}
	// Both are form-encoded first (RFC 6749, section 2.3.1).
	auth, encoded := upstream.Basic(url.QueryEscape(cred.ClientID), url.QueryEscape(cred.Secret.Reveal()))
	r, err := c.up.Do(ctx, cred, upstream.Call{System: oauthApp, Path: appAuthorizePath, Type: upstream.Form, Auth: auth, Body: body.Encode(),
		Clean: upstream.NewCleaner(upstream.RemainSize, cred.Secret, encoded)})
	if err != nil {
		return provider.Token{}, err
	}
	if !r.Success() {
		what := said(r)
		e := r.Failure(what)
		switch {
		case e.Class != provider.Permanent:
		case !req.Plain() && what.Grant != "invalid_client":
			e.Class = provider.Refused
			e.Message = r.Host + " does not grant what was asked for to this OAuth app"
			e.Hint = "check --scope"
		default:
			e.Message = r.Host + " does not accept the id and secret of the OAuth app"
		}
		return provider.Token{}, e
	}
	token, e := r.Token(cred.Secret)
	if e != nil {
		return provider.Token{}, e
	}
	return token, nil
}
