package upstream

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

// BodyForm is what a body looks like, whatever its Content-Type says.
type BodyForm int

// The forms of a body.
const (
	Empty BodyForm = iota
	JSON
	HTML
	XML
	Other
)

// Form looks at the body. The start of a long JSON object counts as JSON.
func (r Reply) Form() BodyForm {
	body := bytes.TrimSpace(r.Body)
	if len(body) == 0 {
		return Empty
	}
	if (body[0] == '{' || body[0] == '[') && (json.Valid(body) || r.TooLong && len(Fields(body)) > 0) {
		return JSON
	}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	head := lowerASCII(string(body[:min(len(body), 512)]))
	switch {
	case media == "text/html", strings.Contains(head, "<html"), strings.HasPrefix(head, "<!doctype html"):
		return HTML
	case body[0] == '<':
		return XML
	}
	return Other
}

// Said is what an error body says, read by who knows the server's language.
type Said struct {
	Code  string // the server's code, cleaned
	Grant string // see GrantError
	Text  string // the server's sentence, cleaned
	ID    string // the server's name for the request, cleaned; empty: the header's
}

var grantError = regexp.MustCompile(`\binvalid_(grant|client)\b`)

// GrantError finds the OAuth errors that condemn the stored secret,
// invalid_grant or invalid_client (RFC 6749, section 5.2), in a text of the
// server's; "" if there is none.
func GrantError(s string) string { return grantError.FindString(s) }

// First returns the first of its arguments that is not empty.
func First(s ...string) string {
	for _, v := range s {
		if v != "" {
			return v
		}
	}
	return ""
}

// Failure says what a reply that is no success means. Class Permanent stands
// for invalid_grant and invalid_client alone.
func (r Reply) Failure(s Said) *provider.Error {
	e := &provider.Error{Status: r.Status, Code: s.Code, RequestID: First(s.ID, r.RequestID()), RetryAfter: r.retryAfter()}
	status := r.StatusText()
	text := ""
	if s.Text != "" {
		text = ": " + s.Text
	}
	f := r.Form()
	switch {
	case r.Status >= 300 && r.Status < 400:
		e.Class = provider.WrongServer
		e.Message, e.Hint = r.redirect()
	case r.Status == http.StatusTooManyRequests:
		e.Class = provider.Transient
		e.Message = r.Host + " asks for fewer requests (" + status + ")"
	case r.Status >= 500, r.Status == http.StatusRequestTimeout, r.Status == http.StatusConflict:
		e.Class = provider.Transient
		e.Message = r.Host + " can't answer now (" + status + ")" + text
	case s.Grant != "":
		e.Class = provider.Permanent
		e.Message = r.Host + " does not accept the " + r.System.Secret + text
		e.Hint = r.System.Renew
	case r.Status == http.StatusNotFound && f != JSON && (f != XML || !r.System.XML):
		e.Class = provider.WrongServer
		e.Message = r.Host + " does not look like " + r.System.Name + " (" + status + ")"
		e.Hint = "check --server"
	case f == HTML:
		return r.WebPage()
	default:
		e.Class = provider.Refused
		e.Message = r.Host + " refuses this request (" + status + ")" + text
		if r.Status == http.StatusUnauthorized || r.Status == http.StatusForbidden {
			e.Hint = "a policy of the organization may allow other networks only: try from the VPN"
		}
	}
	return e
}

// StatusText is the status as messages show it: "404 not found".
func (r Reply) StatusText() string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", r.Status, strings.ToLower(http.StatusText(r.Status))))
}

// WebPage is the error for a page where an answer should be.
func (r Reply) WebPage() *provider.Error {
	return &provider.Error{Class: provider.Transient, Status: r.Status, RequestID: r.RequestID(), RetryAfter: r.retryAfter(),
		Message: fmt.Sprintf("something between here and %s answered with a web page (%d)", r.Host, r.Status),
		Hint:    "a proxy or a network's sign-in page may stand in between: open a browser, or check --server"}
}

// Wrong is the error for a success that is none. what continues the host's name.
func (r Reply) Wrong(what string) *provider.Error {
	return &provider.Error{Class: provider.WrongServer, Status: r.Status, RequestID: r.RequestID(),
		Message: r.Host + " " + what, Hint: "check --server"}
}

func (r Reply) redirect() (message, hint string) {
	kept := ", and the " + r.System.Secret + " is not sent along"
	target := ""
	to, err := url.Parse(r.Header.Get("Location"))
	if err == nil && to.Host != r.Host {
		target = r.Clean.Identifier(to.Host)
	}
	if target == "" {
		return r.Host + " redirects the request" + kept, "check --server"
	}
	message = r.Host + " redirects to " + target + kept
	if origin, err := ParseServer(to.Scheme + "://" + target); err == nil {
		return message, "if you trust that server with the " + r.System.Secret + ", log in with --server " + origin
	}
	return message, "check --server"
}

// retryAfter reads Retry-After (RFC 9110, section 10.2.3): seconds or a date.
func (r Reply) retryAfter() time.Duration {
	s := strings.TrimSpace(r.Header.Get("Retry-After"))
	var d time.Duration
	if v, err := strconv.ParseFloat(s, 64); err == nil {
		// Compared as a number: a huge one would overflow a duration.
		if v >= maxRetryAfter.Seconds() {
			return maxRetryAfter
		}
		d = time.Duration(v * float64(time.Second))
	} else if at, err := http.ParseTime(s); err == nil {
		d = at.Sub(r.Now())
	}
	return max(0, min(d, maxRetryAfter))
}
