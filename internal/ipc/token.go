package ipc

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/cspctl/cspctl/internal/secret"
)

// MaxToken bounds a token, in bytes.
const MaxToken = 64 << 10

// TokenReply is a token and what its headers say about it.
type TokenReply struct {
	Token     secret.Text // printable ASCII without spaces
	Type      string      // Bearer
	ExpiresAt time.Time   // by this machine's clock; zero: the server did not say
	Profile   string
	Provider  string

	Warning      string // one line for the person who asked; may be empty
	WarningStage string
}

// Token asks for a token. It takes the reply as plain text, the token alone
// with the rest in headers, so that the usual case costs no JSON.
func (c *Client) Token(req TokenRequest) (TokenReply, error) {
	reply, err := c.askToken(req, "text/plain")
	if err != nil {
		return TokenReply{}, err
	}
	token, ok := parseToken(reply)
	if !ok {
		return TokenReply{}, explain(errGarbage, c.path)
	}
	return token, nil
}

// TokenDocument asks for a token with all that the agent says about it.
func (c *Client) TokenDocument(req TokenRequest) (Token, error) {
	var t Token
	reply, err := c.askToken(req, "application/json")
	if err != nil {
		return t, err
	}
	if json.Unmarshal(reply.Body, &t) != nil || !isPrintableASCII(t.AccessToken.Reveal()) || t.AccessToken.IsZero() {
		return Token{}, explain(errGarbage, c.path)
	}
	return t, nil
}

func (c *Client) askToken(req TokenRequest, accept string) (*Reply, error) {
	r := Request{Method: "GET", Path: "/v1/token", Accept: accept}
	if req.Interactive {
		r.Timeout = PromptTimeout
	}
	if !req.Passcode.IsZero() || len(req.Scope) > 0 || req.ResourceScope != "" {
		// Neither belongs in a query, which ends up in logs.
		body, err := json.Marshal(req)
		if err != nil {
			return nil, &Error{Code: CodeInternal, Message: "the request can't be written as JSON", Err: err}
		}
		r.Method, r.Body = "POST", body
	} else {
		r.Path += tokenQuery(req)
	}
	reply, err := c.Do(r)
	if err != nil {
		return nil, err
	}
	if reply.Status >= 300 {
		return nil, c.refusal(reply)
	}
	return reply, nil
}

// tokenQuery returns the query of GET /v1/token, with its question mark, or "".
func tokenQuery(req TokenRequest) string {
	var b strings.Builder
	add := func(name, value string) {
		if value == "" {
			return
		}
		b.WriteByte("?&"[min(b.Len(), 1)])
		b.WriteString(name + "=" + QueryEscape(value))
	}
	truth := map[bool]string{true: "true"}
	add("profile", req.Profile)
	add("min_ttl", req.MinTTL)
	add("kind", req.Kind)
	add("fresh", truth[req.Fresh])
	add("max_age", req.MaxAge)
	add("caller", req.Caller)
	add("interactive", truth[req.Interactive])
	add("warnings", req.Warnings)
	return b.String()
}

// parseToken reads a plain-text reply: the token and one newline. A body that
// could do more than be a token in a header or in $(...) is refused.
func parseToken(r *Reply) (TokenReply, bool) {
	kind, _, _ := strings.Cut(r.Header("Content-Type"), ";")
	token, newline := strings.CutSuffix(string(r.Body), "\n")
	var expires time.Time
	var err error
	if at := r.Header(HeaderExpiresAt); at != "" {
		expires, err = time.Parse(time.RFC3339, at)
	}
	if r.Status != 200 || strings.TrimSpace(kind) != "text/plain" || !newline || err != nil ||
		token == "" || len(token) > MaxToken || !isPrintableASCII(token) {
		return TokenReply{}, false
	}
	return TokenReply{
		Token:        secret.New(token),
		Type:         "Bearer",
		ExpiresAt:    expires,
		Profile:      r.Header(HeaderProfile),
		Provider:     r.Header(HeaderProvider),
		Warning:      oneLine(r.Header(HeaderWarning)),
		WarningStage: r.Header(HeaderWarningStage),
	}, true
}
