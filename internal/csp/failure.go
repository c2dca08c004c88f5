package csp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/cspctl/cspctl/internal/provider"
)

// maxRetryAfter bounds what a server can ask for.
const maxRetryAfter = time.Hour

// form is what a body looks like, whatever its Content-Type says.
type form int

const (
	empty form = iota
	isJSON
	isHTML
	isXML
	other
)

func (r reply) form() form {
	body := bytes.TrimSpace(r.body)
	if len(body) == 0 {
		return empty
	}
	if (body[0] == '{' || body[0] == '[') && json.Valid(body) {
		return isJSON
	}
	media, _, _ := mime.ParseMediaType(r.header.Get("Content-Type"))
	head := lowerASCII(string(body[:min(len(body), 512)]))
	switch {
	case media == "text/html", strings.Contains(head, "<html"), strings.HasPrefix(head, "<!doctype html"):
		return isHTML
	case body[0] == '<':
		return isXML
	}
	return other
}

// said is what an error body says. CSP answers with a CspErrorResponse, in
// which the OAuth error (RFC 6749, section 5.2) leads the message; other
// gateways use the OAuth form itself.
type said struct {
	code  string // the server's code
	grant string // invalid_grant or invalid_client, if that is the trouble
	text  string // clean
	id    string // the server's name for the request
}

var grantError = regexp.MustCompile(`\binvalid_(grant|client)\b`)

func (r reply) said() said {
	if f := r.form(); f != isJSON {
		s := said{id: r.requestID()}
		if f != isHTML {
			s.grant = string(grantError.Find(r.body))
			s.code = s.grant
		}
		return s
	}
	var b struct {
		CSPErrorCode     json.RawMessage `json:"cspErrorCode"`
		ErrorCode        json.RawMessage `json:"errorCode"`
		Message          json.RawMessage `json:"message"`
		RequestID        json.RawMessage `json:"requestId"`
		Error            json.RawMessage `json:"error"`
		ErrorDescription json.RawMessage `json:"error_description"`
	}
	_ = json.Unmarshal(r.body, &b) // an array: nothing is said
	var s said
	for _, raw := range []json.RawMessage{b.Error, b.Message, b.ErrorDescription, b.ErrorCode} {
		s.grant = first(s.grant, grantError.FindString(scalar(raw)))
	}
	s.code = first(r.clean.identifier(scalar(b.CSPErrorCode)), r.clean.identifier(scalar(b.Error)), r.clean.identifier(scalar(b.ErrorCode)), s.grant)
	s.text = r.clean.text(first(scalar(b.Message), scalar(b.ErrorDescription), scalar(b.Error)), maxText)
	s.id = first(r.clean.identifier(scalar(b.RequestID)), r.requestID())
	return s
}

func first(s ...string) string {
	for _, v := range s {
		if v != "" {
			return v
		}
	}
	return ""
}

// failure says what a reply that is no success means. Class Permanent stands
// for invalid_grant and invalid_client alone.
func (r reply) failure() *provider.Error {
	s := r.said()
	e := &provider.Error{Status: r.status, Code: s.code, RequestID: s.id, RetryAfter: r.retryAfter()}
	status := strings.TrimSpace(fmt.Sprintf("%d %s", r.status, strings.ToLower(http.StatusText(r.status))))
	text := ""
	if s.text != "" {
		text = ": " + s.text
	}
	f := r.form()
	switch {
	case r.status >= 300 && r.status < 400:
		e.Class = provider.WrongServer
		e.Message, e.Hint = r.redirect()
	case r.status == http.StatusTooManyRequests:
		e.Class = provider.Transient
		e.Message = r.host + " asks for fewer requests (" + status + ")"
	case r.status >= 500, r.status == http.StatusRequestTimeout, r.status == http.StatusConflict:
		e.Class = provider.Transient
		e.Message = r.host + " can't answer now (" + status + ")" + text
	case s.grant != "":
		e.Class = provider.Permanent
		e.Message = r.host + " does not accept the API token" + text
		e.Hint = newToken
	case r.status == http.StatusNotFound && f != isJSON:
		e.Class = provider.WrongServer
		e.Message = r.host + " does not look like Cloud Services (" + status + ")"
		e.Hint = "check --server"
	case f == isHTML:
		return r.webPage()
	default:
		e.Class = provider.Refused
		e.Message = r.host + " refuses this request (" + status + ")" + text
		if r.status == http.StatusUnauthorized || r.status == http.StatusForbidden {
			e.Hint = "a policy of the organization may allow other networks only: try from the VPN"
		}
	}
	return e
}

const newToken = "create an API token in the console under My Account > API Tokens, then run cspctl login"

// webPage is the error for a page where an answer should be.
func (r reply) webPage() *provider.Error {
	return &provider.Error{Class: provider.Transient, Status: r.status, RequestID: r.requestID(), RetryAfter: r.retryAfter(),
		Message: fmt.Sprintf("something between here and %s answered with a web page (%d)", r.host, r.status),
		Hint:    "a proxy or a network's sign-in page may stand in between: open a browser, or check --server"}
}

// wrong is the error for a success that is none.
func (r reply) wrong(message string) *provider.Error {
	return &provider.Error{Class: provider.WrongServer, Status: r.status, RequestID: r.requestID(),
		Message: r.host + " " + message, Hint: "check --server"}
}

func (r reply) redirect() (message, hint string) {
	target := ""
	to, err := url.Parse(r.header.Get("Location"))
	if err == nil && to.Host != r.host {
		target = r.clean.identifier(to.Host)
	}
	if target == "" {
		return r.host + " redirects the request, and the API token is not sent along", "check --server"
	}
	message = r.host + " redirects to " + target + ", and the API token is not sent along"
	if origin, err := ParseServer(to.Scheme + "://" + target); err == nil {
		return message, "if you trust that server with the API token, log in with --server " + origin
	}
	return message, "check --server"
}

// retryAfter reads Retry-After (RFC 9110, section 10.2.3): seconds or a date.
func (r reply) retryAfter() time.Duration {
	s := strings.TrimSpace(r.header.Get("Retry-After"))
	var d time.Duration
	if v, err := strconv.ParseFloat(s, 64); err == nil {
		// Compared as a number: a huge one would overflow a duration.
		if v >= maxRetryAfter.Seconds() {
			return maxRetryAfter
		}
		d = time.Duration(v * float64(time.Second))
	} else if at, err := http.ParseTime(s); err == nil {
		d = at.Sub(r.now())
	}
	return max(0, min(d, maxRetryAfter))
}
