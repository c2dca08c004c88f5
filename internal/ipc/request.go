package ipc

import (
	"strconv"
	"strings"
	"time"

	"github.com/cspctl/cspctl/internal/provider"
)

// DefaultTimeout bounds a request with Timeout 0. It is longer than the
// agent's own limits, so that the agent's explanation arrives first.
const DefaultTimeout = 40 * time.Second

// PromptTimeout bounds the requests in which a person may have to answer a
// keychain's dialog first.
const PromptTimeout = 90 * time.Second

// Request is one request to the agent.
type Request struct {
	Method string
	Path   string // absolute, escaped, with the query
	Body   []byte // JSON, at most MaxRequestBody bytes
	Accept string // the Accept header; empty: none

	Timeout time.Duration // of the whole call, an agent's start included; 0: DefaultTimeout
}

// encode returns the request in the form of RFC 9112. The connection is not
// kept: one call, one connection.
func (r Request) encode() ([]byte, error) {
	bad := func(message string) ([]byte, error) {
		return nil, &Error{Code: CodeBadRequest, Message: message}
	}
	switch {
	case !isToken(r.Method):
		return bad("not a method: " + printable(r.Method))
	case !strings.HasPrefix(r.Path, "/") || !isPrintableASCII(r.Path):
		return bad("not an escaped path: " + printable(r.Path))
	case !plain(r.Accept):
		return bad("not an Accept header: " + printable(r.Accept))
	case len(r.Path)+len(r.Accept) > MaxHeader/2:
		return bad("the request is too long")
	case len(r.Body) > MaxRequestBody:
		return bad("the request has " + strconv.Itoa(len(r.Body)) + " bytes, and the agent takes " + strconv.Itoa(MaxRequestBody))
	}
	b := make([]byte, 0, 256+len(r.Path)+len(r.Body))
	b = append(b, r.Method+" "+r.Path+" HTTP/1.1\r\nHost: "+Host+"\r\nConnection: close\r\n"...)
	b = append(b, HeaderClientVersion+": "+oneLine(Version)+"\r\n"...)
	if r.Accept != "" {
		b = append(b, "Accept: "+r.Accept+"\r\n"...)
	}
	if r.Body != nil {
		b = append(b, "Content-Type: application/json\r\nContent-Length: "+strconv.Itoa(len(r.Body))+"\r\n"...)
	}
	b = append(b, "\r\n"...)
	return append(b, r.Body...), nil
}

// ownAgentOnly reports whether the request may not go to the system service's
// socket unless CSP_AGENT_SOCK says so: whatever changes something, and with
// it every login.
func (r Request) ownAgentOnly() bool {
	return r.Method != "GET" && !strings.HasPrefix(r.Path, "/v1/token")
}

// isPrintableASCII reports whether s has no space, no control character and
// nothing beyond ASCII.
func isPrintableASCII(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// IsPage reports whether a URL may be handed to a browser; see provider.IsPage.
func IsPage(url string) bool { return provider.IsPage(url) }

// QueryEscape escapes s for use in a query, as RFC 3986 has it.
func QueryEscape(s string) string { return provider.Escape(s) }
