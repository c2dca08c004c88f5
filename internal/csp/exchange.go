package csp

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
	"github.com/cspctl/cspctl/internal/upstream"
)

// judgeTimeout bounds the question whether a refused API token is alive.
const judgeTimeout = 8 * time.Second

// Exchange turns the API token into an access token. It makes one request; if
// the server answers invalid_grant, one more to tell a dead API token from one
// that needs a passcode. Its error is a *provider.Error.
func (c *Client) Exchange(ctx context.Context, cred provider.Credential, req provider.Request) (provider.Token, error) {
	body := url.Values{"api_token": {cred.Secret.Reveal()}}
	if len(req.Scope) > 0 {
		body.Set("scope", strings.Join(req.Scope, " "))
	}
	if req.ResourceScope != "" {
		body.Set("allowed_resource_scope", req.ResourceScope)
	}
	if !req.Passcode.IsZero() {
		body.Set("passcode", req.Passcode.Reveal())
	}
	r, err := c.do(ctx, cred, upstream.Call{Path: authorizePath, Type: upstream.Form, Body: body.Encode()}, req.Passcode)
	if err != nil {
		return provider.Token{}, err
	}
	if !r.Success() {
		e := r.Failure(said(r))
		if e.Class == provider.Permanent {
			e = c.judge(ctx, cred, req, e, r)
		}
		return provider.Token{}, e
	}
	token, e := r.Token(cred.Secret)
	if e != nil {
		return provider.Token{}, e
	}
	return token, nil
}

// do makes a call that takes the API token along, and perhaps other secrets.
func (c *Client) do(ctx context.Context, cred provider.Credential, call upstream.Call, others ...secret.Text) (upstream.Reply, error) {
	if cred.Secret.IsZero() {
		return upstream.Reply{}, apiToken.NoSecret()
	}
	call.System = apiToken
	call.Clean = upstream.NewCleaner(upstream.RemainSize, append(others, cred.Secret)...)
	return c.up.Do(ctx, cred, call)
}

// judge refines invalid_grant by what the details endpoint says of the API token.
func (c *Client) judge(ctx context.Context, cred provider.Credential, req provider.Request, e *provider.Error, r upstream.Reply) *provider.Error {
	short, cancel := context.WithTimeout(ctx, judgeTimeout)
	defer cancel()
	d, err := c.Details(short, cred)
	if errors.Is(ctx.Err(), context.Canceled) {
		return upstream.Fail(provider.Transient, "the call to "+r.Host+" was cancelled", "", ctx.Err())
	}
	gone := false
	if why, ok := provider.AsError(err); ok {
		gone = why.Class == provider.Permanent
	}
	switch {
	case gone:
		e.Message = "the API token is expired, revoked or unknown to " + r.Host
	case err == nil && d.Deactivated:
		e.Message = "the API token is deactivated at " + r.Host
		e.Hint = "activate it in the console under My Account > API Tokens, or create another; then run cspctl login"
	case err == nil && expired(d.Expiry, r.Now()):
		e.Message = "the API token expired on " + upstream.Day(d.Expiry.At)
	case !req.Passcode.IsZero():
		e.Class = provider.Refused
		e.Message = r.Host + " did not accept the passcode or the API token"
		e.Hint = "wait for the next passcode, and try again"
	case !req.Plain():
		e.Class = provider.Refused
		e.Message = r.Host + " does not grant what was asked for to this API token"
		e.Hint = "check --scope; if the organization asks for a second factor, give --passcode"
	case err == nil:
		e.Class = provider.PasscodeNeeded
		e.Message = "the API token is good, but " + r.Host + " asks for a passcode of the second factor"
		e.Hint = "give the passcode with --passcode"
	default:
		e.Hint = newToken + "; or give --passcode if the organization asks for a second factor"
	}
	return e
}

func expired(x provider.Expiry, now time.Time) bool {
	return x.Known && !x.Never && !x.At.After(now)
}
