package vcd

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
	"github.com/cspctl/cspctl/internal/upstream"
)

var apiToken = &upstream.System{
	Name:      "Cloud Director",
	Secret:    "API token",
	Wanted:    "an API token is needed, from Cloud Director under User preferences > API Tokens, or that of a service account",
	Renew:     "create an API token in Cloud Director under User preferences > API Tokens (for a service account: have a new one granted), then run cspctl login",
	RequestID: requestID,
	XML:       true,
}

// TokenClient is the provider of profiles with an API token or the token of a
// service account. It may be used by several goroutines.
type TokenClient struct{ sessions }

// APIToken returns a client that makes its calls through up.
func APIToken(up *upstream.Client) *TokenClient { return &TokenClient{newSessions(up, apiToken)} }

// Rotates reports that the server may replace the token at any exchange. It
// always does for service accounts.
func (c *TokenClient) Rotates() bool { return true }

// CheckSecret takes a token as people paste it, or the file in which
// Terraform's provider keeps one: {"refresh_token":"..."}.
func (c *TokenClient) CheckSecret(pasted string) (secret.Text, error) {
	if s := strings.TrimSpace(pasted); strings.HasPrefix(s, "{") {
		inside := upstream.Scalar(upstream.Fields([]byte(s))["refresh_token"])
		if inside == "" {
			return secret.Text{}, errors.New("this JSON holds no refresh_token: paste the API token alone")
		}
		pasted = inside
	}
	return apiToken.CheckSecret(pasted)
}

// Exchange turns the API token into an access token: the refresh_token grant
// (RFC 6749, section 6). It makes one request; its error is a *provider.Error.
//
// Where the server replaced the API token, the Token holds the Replacement,
// beside an error too: an answer that is of no use as a whole, or that broke
// off, may hold the only copy of the new API token (P10).
func (c *TokenClient) Exchange(ctx context.Context, cred provider.Credential, req provider.Request) (provider.Token, error) {
	var none provider.Token
	if cred.Secret.IsZero() {
		return none, apiToken.NoSecret()
	}
	if cred.Org == "" {
		return none, noOrg()
	}
	if e := noExtras(req); e != nil {
		return none, e
	}
	path := "/oauth/tenant/" + pathEscape(cred.Org) + "/token"
	if system(cred.Org) {
		path = "/oauth/provider/token"
	}
	body := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {cred.Secret.Reveal()}}
	r, err := c.up.Do(ctx, cred, upstream.Call{System: apiToken, Path: path, Type: upstream.Form, Body: body.Encode(),
		Clean: upstream.NewCleaner(upstream.RemainSize, cred.Secret)})
	if err != nil {
		return provider.Token{Replacement: replacement(r, cred.Secret)}, orgInDoubt(err, cred.Org)
	}
	if !r.Success() {
		return none, orgUnknown(r, r.Failure(said(r)), cred.Org)
	}
	next := replacement(r, cred.Secret)
	token, e := r.Token(cred.Secret)
	if e == nil && upstream.Echoes(token.Access.Reveal(), next) {
		e = r.Wrong("sent a new API token in place of an access token")
	}
	if e == nil && next.IsZero() && replaces(r, cred.Secret) {
		e = r.Wrong("sent a new API token that can't be one")
	}
	if e != nil {
		return provider.Token{Replacement: next}, e
	}
	// Neither is asked for, and the ID token might hold the new API token.
	token.ID = secret.Text{}
	token.Replacement = next
	return token, nil
}

// refreshToken is the refresh_token of an answer, complete or not.
func refreshToken(r upstream.Reply) string {
	var s string
	if r.Status == 0 || !r.Success() || json.Unmarshal(upstream.Fields(r.Body)["refresh_token"], &s) != nil {
		return ""
	}
	return s
}

// replaces reports whether the answer names another secret than the one sent.
func replaces(r upstream.Reply, sent secret.Text) bool {
	s := refreshToken(r)
	return s != "" && s != sent.Reveal()
}

// replacement is the secret that the answer puts in place of the one sent;
// empty if there is none.
func replacement(r upstream.Reply, sent secret.Text) secret.Text {
	s := refreshToken(r)
	if !replaces(r, sent) || len(s) > provider.MaxTokenSize || strings.TrimSpace(s) == "" ||
		!utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return secret.Text{}
	}
	return secret.New(s)
}

// orgUnknown names the organization where the answer is what Cloud Director
// says of one that it does not have.
func orgUnknown(r upstream.Reply, e *provider.Error, org string) *provider.Error {
	if r.Status == http.StatusNotFound && e.Class != provider.Permanent {
		e.Message = r.Host + " has no organization " + shown(org) + ", or is no Cloud Director (" + r.StatusText() + ")"
		e.Hint = "check --org (the organization's name, as in its web address) and --server"
	}
	return e
}

// orgInDoubt does so for a connection that ended without an answer, as it does
// in front of some Cloud Directors.
func orgInDoubt(err error, org string) error {
	e, ok := provider.AsError(err)
	if ok && e.Status == 0 && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)) {
		e.Message += "; that is also how some servers answer for an organization that they do not have"
		e.Hint = "check --org, which is " + shown(org) + ", and whether a proxy is needed"
	}
	return err
}

// shown is a name in a message.
func shown(name string) string { return upstream.Cleaner{}.Label(name, 80) }
