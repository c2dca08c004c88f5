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
	ExpiresAt time.Time   // by this machine's clock
	Profile   string
	Provider  string

	Warning      string // one line for the person who asked; may be empty
	WarningStage string
}

// Token asks for a token. It takes the reply as plain text, the token alone
// with the rest in headers, so that the usual case costs no JSON.
func (c *Client) Token(req TokenRequest) (TokenReply, error) {
	r := Request{Method: "GET", Path: "/v1/token", Accept: "text/plain"}
	if req.Interactive {
		r.Timeout = PromptTimeout
	}
	if !req.Passcode.IsZero() || len(req.Scope) > 0 || req.ResourceScope != "" {
		// Neither belongs in a query, which ends up in logs.
		body, err := json.Marshal(req)
		if err != nil {
			return TokenReply{}, &Error{Code: CodeInternal, Message: "the request can't be written as JSON", Err: err}
		}
		r.Method, r.Body = "POST", body
	} else {
		r.Path += tokenQuery(req)
	}
	reply, err := c.Do(r)
	if err != nil {
		return TokenReply{}, err
	}
	if reply.Status >= 300 {
		return TokenReply{}, c.refusal(reply)
	}
	token, ok := parseToken(reply)
	if !ok {
		return TokenReply{}, explain(errGarbage, c.path)
	}
	return token, nil
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
	add("interactive", truth[req.Interactive])
	return b.String()
}

// parseToken reads a plain-text reply: the token and one newline. A body that
// could do more than be a token in a header or in $(...) is refused.
func parseToken(r *Reply) (TokenReply, bool) {
	kind, _, _ := strings.Cut(r.Header("Content-Type"), ";")
	token, newline := strings.CutSuffix(string(r.Body), "\n")
	expires, err := time.Parse(time.RFC3339, r.Header(HeaderExpiresAt))
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
