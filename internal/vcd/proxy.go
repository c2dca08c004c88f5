package vcd

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"

	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
	"github.com/cspctl/cspctl/internal/upstream"
)

// sessions is the part of the API that concerns the session behind a bearer
// token. Each exchange opens one.
type sessions struct {
	base
	system   *upstream.System
	versions *versions
}

func newSessions(up *upstream.Client, s *upstream.System) sessions {
	return sessions{base{up}, s, &versions{}}
}

// ProxyToken gets the proxy token of the session that bearer belongs to ("Get
// Token" of the Cloud Director OpenAPI). cred names the server; its secret is
// not sent. It makes two requests, and before them at most one for the API's
// versions; its error is a *provider.Error, with Status 401 where the session
// has ended.
func (s sessions) ProxyToken(ctx context.Context, cred provider.Credential, bearer secret.Text) (provider.ProxyToken, error) {
	var none provider.ProxyToken
	if bearer.IsZero() {
		return none, upstream.Fail(provider.Refused, "there is no access token to get a proxy token with", "", nil)
	}
	call := upstream.Call{System: s.system, Method: http.MethodGet, Path: sessionsPath + "/current", Auth: "Bearer " + bearer.Reveal(),
		Clean: upstream.NewCleaner(upstream.RemainSize, cred.Secret, bearer)}
	r, err := s.versioned(ctx, cred, call)
	if err != nil {
		return none, err
	}
	if !r.Success() {
		return none, sessionFailure(r)
	}
	id, e := sessionID(r)
	if e != nil {
		return none, e
	}
	// The path's own name is no id: the documented pattern leaves out both.
	call.Path = sessionsPath + "/" + pathEscape(id) + "/token"
	if r, err = s.versioned(ctx, cred, call); err != nil {
		return none, err
	}
	if !r.Success() {
		return none, sessionFailure(r)
	}
	token, e := readProxyToken(r, cred.Secret)
	if e != nil {
		return none, e
	}
	return token, nil
}

// sessionFailure is the failure of a call that only a bearer token went along
// with: it says nothing about the stored secret.
func sessionFailure(r upstream.Reply) *provider.Error {
	e := r.Failure(said(r))
	switch {
	case r.Status == http.StatusUnauthorized:
		e.Class = provider.Refused
		e.Message, e.Hint = r.Host+" does not accept the access token any more: its session has ended", "try again with --fresh"
	case e.Class == provider.Permanent:
		e.Class, e.Hint = provider.Refused, "try again with --fresh"
		e.Message = r.Host + " does not accept the access token"
	case r.Status == http.StatusNotFound && e.Class == provider.Refused:
		e.Message = r.Host + " has no proxy token for this session (" + r.StatusText() + ")"
		e.Hint = "the user needs a right to the proxies of a dedicated vCenter Server"
	}
	return e
}

// An id is a URN, "urn:vcloud:session:" and a UUID. Its length is checked apart:
// in the expression it would cost each start of the agent 3 ms.
var sessionIDShape = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9:._-]*$`)

// maxSessionID bounds an id, in bytes.
const maxSessionID = 256

func sessionID(r upstream.Reply) (string, *provider.Error) {
	if r.Form() == upstream.HTML {
		return "", r.WebPage()
	}
	id := upstream.Scalar(upstream.Fields(r.Body)["id"])
	if len(id) > maxSessionID || !sessionIDShape.MatchString(id) || id == "current" || id == "provider" {
		return "", r.Wrong("sent an answer that is no session")
	}
	return id, nil
}

// readProxyToken reads type Token of the OpenAPI.
func readProxyToken(r upstream.Reply, stored secret.Text) (provider.ProxyToken, *provider.Error) {
	var none provider.ProxyToken
	if r.Form() == upstream.HTML {
		return none, r.WebPage()
	}
	if r.TooLong {
		return none, r.Wrong("sent an answer of more than 1 MiB")
	}
	b := upstream.Fields(r.Body)
	var token string
	_ = json.Unmarshal(b["token"], &token)
	switch {
	case token == "":
		return none, r.Wrong("sent an answer without a proxy token")
	case len(token) > provider.MaxTokenSize:
		return none, r.Wrong("sent a proxy token of more than 64 KiB")
	case strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' }):
		return none, r.Wrong("sent a proxy token with characters that tokens can't have")
	case upstream.Echoes(token, stored):
		return none, r.Wrong("sent the stored secret back in place of a proxy token")
	}
	clean := upstream.NewCleaner(upstream.LabelRemainSize, stored, secret.New(token))
	label := func(raw json.RawMessage) string { return clean.Label(upstream.Scalar(raw), upstream.MaxLabel) }
	reference := func(raw json.RawMessage) provider.Reference {
		f := upstream.Fields(raw)
		return provider.Reference{Name: label(f["name"]), ID: label(f["id"])}
	}
	t := provider.ProxyToken{
		Token: secret.New(token), ID: label(b["id"]), Name: label(b["name"]), Type: label(b["type"]),
		Owner: reference(b["owner"]), Org: reference(b["org"]), Username: label(b["username"]), UserID: label(b["userId"]),
	}
	t.Username = upstream.First(t.Username, t.Owner.Name)
	t.UserID = upstream.First(t.UserID, t.Owner.ID)
	t.Org.Name = upstream.First(t.Org.Name, label(b["orgName"]))
	t.ExpiresAt, _, _ = upstream.Timestamp(b["expirationTimeUtc"])
	if v, ok := upstream.Bool(b["requireRotation"]); ok {
		t.RequireRotation = &v
	}
	return t, nil
}
