package csp

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
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
	r, err := c.do(ctx, cred, call{
		path:        authorizePath,
		contentType: "application/x-www-form-urlencoded",
		body:        body.Encode(),
		clean:       newCleaner(remainSize, cred.Secret, req.Passcode),
	})
	if err != nil {
		return provider.Token{}, err
	}
	if !r.success() {
		e := r.failure()
		if e.Class == provider.Permanent {
			e = c.judge(ctx, cred, req, e, r)
		}
		return provider.Token{}, e
	}
	token, e := r.token(cred.Secret)
	if e != nil {
		return provider.Token{}, e
	}
	if !token.ID.IsZero() && !jwtShape.MatchString(token.ID.Reveal()) {
		c.o.Log.Warn("the server's ID token is no JWT: dropped", "host", r.host)
		token.ID = secret.Text{}
	}
	return token, nil
}

var (
	b64token = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)                           // RFC 6750, section 2.1
	jwtShape = regexp.MustCompile(`^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*$`) // RFC 7515, section 7.1
)

// token reads an AccessTokenDto. The refresh_token in it is a long-lived
// secret, and of no use to us: it is not even decoded.
func (r reply) token(sent secret.Text) (provider.Token, *provider.Error) {
	var none provider.Token
	if r.form() == isHTML {
		return none, r.webPage()
	}
	if r.tooLong {
		return none, r.wrong("sent an answer of more than 1 MiB")
	}
	var b struct {
		AccessToken json.RawMessage `json:"access_token"`
		IDToken     json.RawMessage `json:"id_token"`
		ExpiresIn   json.RawMessage `json:"expires_in"`
		Scope       json.RawMessage `json:"scope"`
	}
	var access, id string
	if json.Unmarshal(r.body, &b) != nil || json.Unmarshal(b.AccessToken, &access) != nil || access == "" {
		return none, r.wrong("sent an answer without an access token")
	}
	switch {
	case len(access) > provider.MaxTokenSize:
		return none, r.wrong("sent an access token of more than 64 KiB")
	case !b64token.MatchString(access):
		return none, r.wrong("sent an access token with characters that tokens can't have")
	case echoes(access, sent):
		return none, r.wrong("sent the API token back in place of an access token")
	}
	_ = json.Unmarshal(b.IDToken, &id) // optional, and only a string is one
	if len(id) > provider.MaxTokenSize || echoes(id, sent) {
		id = ""
	}
	claims, _ := provider.ReadClaims(access) // an opaque token has none
	return provider.Token{
		Access:     secret.New(access),
		ID:         secret.New(id),
		Type:       "Bearer",
		Scope:      newCleaner(labelRemainSize, sent).label(strings.Join(list(b.Scope), " "), 4096),
		ExpiresIn:  lifetime(b.ExpiresIn),
		IssuedAt:   claims.IssuedAt,
		ExpiresAt:  claims.ExpiresAt,
		ServerTime: r.serverTime(),
	}, nil
}

// echoes reports whether a token holds the API token: served, it would hand
// out what must never leave (P1).
func echoes(token string, sent secret.Text) bool {
	return sent.Len() >= labelRemainSize && strings.Contains(token, sent.Reveal())
}

// judge refines invalid_grant by what the details endpoint says of the API token.
func (c *Client) judge(ctx context.Context, cred provider.Credential, req provider.Request, e *provider.Error, r reply) *provider.Error {
	short, cancel := context.WithTimeout(ctx, judgeTimeout)
	defer cancel()
	d, err := c.Details(short, cred)
	if errors.Is(ctx.Err(), context.Canceled) {
		return fail(provider.Transient, "the call to "+r.host+" was cancelled", "", ctx.Err())
	}
	gone := false
	if why, ok := provider.AsError(err); ok {
		gone = why.Class == provider.Permanent
	}
	switch {
	case gone:
		e.Message = "the API token is expired, revoked or unknown to " + r.host
	case err == nil && d.Deactivated:
		e.Message = "the API token is deactivated at " + r.host
		e.Hint = "activate it in the console under My Account > API Tokens, or create another; then run cspctl login"
	case err == nil && expired(d.Expiry, r.now()):
		e.Message = "the API token expired on " + day(d.Expiry.At)
	case !req.Passcode.IsZero():
		e.Class = provider.Refused
		e.Message = r.host + " did not accept the passcode or the API token"
		e.Hint = "wait for the next passcode, and try again"
	case !req.Plain():
		e.Class = provider.Refused
		e.Message = r.host + " does not grant what was asked for to this API token"
		e.Hint = "check --scope; if the organization asks for a second factor, give --passcode"
	case err == nil:
		e.Class = provider.PasscodeNeeded
		e.Message = "the API token is good, but " + r.host + " asks for a passcode of the second factor"
		e.Hint = "give the passcode with --passcode"
	default:
		e.Hint = newToken + "; or give --passcode if the organization asks for a second factor"
	}
	return e
}

func expired(x provider.Expiry, now time.Time) bool {
	return x.Known && !x.Never && !x.At.After(now)
}
