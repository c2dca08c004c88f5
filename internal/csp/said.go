package csp

import (
	"github.com/cspctl/cspctl/internal/upstream"
)

// said reads an error body. CSP answers with a CspErrorResponse, in which the
// OAuth error (RFC 6749, section 5.2) leads the message; other gateways, and
// the endpoints of OAuth apps, use the OAuth form itself.
func said(r upstream.Reply) upstream.Said {
	if f := r.Form(); f != upstream.JSON {
		var s upstream.Said
		if f != upstream.HTML {
			s.Grant = upstream.GrantError(string(r.Body))
			s.Code = s.Grant
		}
		return s
	}
	b := upstream.Fields(r.Body) // of an array: nothing
	scalar := func(name string) string { return upstream.Scalar(b[name]) }
	id := func(name string) string { return r.Clean.Identifier(scalar(name)) }
	var s upstream.Said
	for _, name := range []string{"error", "message", "error_description", "errorCode"} {
		s.Grant = upstream.First(s.Grant, upstream.GrantError(scalar(name)))
	}
	s.Code = upstream.First(id("cspErrorCode"), id("error"), id("errorCode"), s.Grant)
	s.Text = r.Clean.Text(upstream.First(scalar("message"), scalar("error_description"), scalar("error")), upstream.MaxText)
	s.ID = id("requestId")
	return s
}
