package vcd

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
	"github.com/cspctl/cspctl/internal/upstream"
)

var password = &upstream.System{
	Name:      "Cloud Director",
	Secret:    "password",
	Renew:     "check user, organization and password, then run cspctl login",
	RequestID: requestID,
	XML:       true,
}

const (
	sessionsPath = "/cloudapi/1.0.0/sessions"
	// defaultIdle is how long a session lives without a request, unless the
	// server says otherwise.
	defaultIdle = 30 * time.Minute
)

// SessionClient is the provider of profiles with a user and password. It may
// be used by several goroutines.
type SessionClient struct{ sessions }

// Session returns a client that makes its calls through up.
func Session(up *upstream.Client) *SessionClient { return &SessionClient{newSessions(up, password)} }

// CheckSecret takes a password. Any character may belong to it, but for the
// end of the line that it was written on.
func (c *SessionClient) CheckSecret(pasted string) (secret.Text, error) {
	pasted = strings.TrimSuffix(strings.TrimSuffix(pasted, "\n"), "\r")
	switch {
	case pasted == "":
		return secret.Text{}, errors.New("the password is empty")
	case len(pasted) > upstream.MaxSecretSize:
		return secret.Text{}, errors.New("the password is too long")
	case !utf8.ValidString(pasted) || strings.ContainsFunc(pasted, unicode.IsControl):
		return secret.Text{}, errors.New("the password holds a line break or control character: write it alone, on one line")
	}
	return secret.New(pasted), nil
}

// Exchange opens a session, whose access token dies with it: at the end that
// the token names, or when it has been idle for too long. It makes one request,
// and before that at most one for the API's versions; its error is a
// *provider.Error. Class Permanent stands for a refused password: trying again
// could lock the account.
func (c *SessionClient) Exchange(ctx context.Context, cred provider.Credential, req provider.Request) (provider.Token, error) {
	var none provider.Token
	if cred.Secret.IsZero() {
		return none, password.NoSecret()
	}
	if e := noExtras(req); e != nil {
		return none, e
	}
	login, org, failed := loginName(cred.User, cred.Org)
	if failed != nil {
		return none, failed
	}
	path := sessionsPath
	if system(org) {
		path += "/provider"
	}
	auth, encoded := upstream.Basic(login, cred.Secret.Reveal())
	r, err := c.versioned(ctx, cred, upstream.Call{System: password, Path: path, Auth: auth,
		Clean: upstream.NewCleaner(upstream.RemainSize, cred.Secret, encoded)})
	if err != nil {
		return none, err
	}
	if !r.Success() {
		e := r.Failure(said(r))
		if r.Status == http.StatusUnauthorized {
			e.Class, e.Hint = provider.Permanent, password.Renew+"; more tries could lock the account"
			e.Message = r.Host + " does not accept the user " + shown(login) + " with this password"
		}
		return none, e
	}
	token, e := readLogin(r, cred.Secret)
	if e != nil {
		return none, e
	}
	return token, nil
}

// loginName is the user of a login as Cloud Director wants it, user@org, and
// the organization. The profile may name the organization in either place.
func loginName(user, org string) (login, _ string, failed *provider.Error) {
	if org == "" {
		if at := strings.LastIndexByte(user, '@'); at > 0 {
			user, org = user[:at], user[at+1:]
		}
	} else if n := len(user) - len(org) - 1; n > 0 && user[n] == '@' && strings.EqualFold(user[n+1:], org) {
		user = user[:n]
	}
	switch {
	case user == "":
		return "", "", upstream.Fail(provider.Permanent, "the user is missing", "log in again with --user", nil)
	case org == "":
		return "", "", noOrg()
	// RFC 7617, section 2: the first colon ends the user.
	case strings.ContainsFunc(user+org, func(r rune) bool { return r == ':' || unicode.IsControl(r) }):
		return "", "", upstream.Fail(provider.Permanent, "the user or organization has a character that can't be sent", "log in again with another --user", nil)
	}
	return user + "@" + org, org, nil
}

// readLogin reads the answer to a login: the token is in its header, the
// session in its body.
func readLogin(r upstream.Reply, sent secret.Text) (provider.Token, *provider.Error) {
	token, e := r.Bearer(r.Header.Get("X-Vmware-Vcloud-Access-Token"), sent)
	switch {
	case e != nil && r.Form() == upstream.HTML:
		return provider.Token{}, r.WebPage()
	case e != nil:
		return provider.Token{}, e
	}
	if kind := strings.TrimSpace(r.Header.Get("X-Vmware-Vcloud-Token-Type")); kind != "" && !strings.EqualFold(kind, token.Type) {
		return provider.Token{}, r.Wrong("sent an access token of another type than Bearer")
	}
	token.ExpiresIn = idleTimeout(upstream.Fields(r.Body)["sessionIdleTimeoutMinutes"])
	return token, nil
}

// idleTimeout reads sessionIdleTimeoutMinutes. What is not believable is the
// default.
func idleTimeout(raw json.RawMessage) time.Duration {
	v, ok := upstream.Number(raw)
	if !ok || v <= 0 || v > upstream.TenYears.Minutes() {
		return defaultIdle
	}
	return time.Duration(v * float64(time.Minute))
}
