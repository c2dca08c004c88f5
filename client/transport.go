package client

import (
	"net/http"
	"time"
)

// Header says in which header a token is sent.
type Header int

const (
	// Bearer is `Authorization: Bearer TOKEN` (RFC 6750, section 2.1).
	Bearer Header = iota
	// CSPAuthToken is `csp-auth-token: TOKEN`, which older services of VMware
	// Cloud take alone.
	CSPAuthToken
)

func (h Header) set(to http.Header, token string) {
	if h == CSPAuthToken {
		to.Set("csp-auth-token", token)
	} else {
		to.Set("Authorization", "Bearer "+token)
	}
}

// Transport is an http.RoundTripper that sends an access token along. It asks
// the agent at each request, so a program may run for as long as it likes. To a
// 401 it answers once more, with a token that the agent got less than a minute
// ago, if there is one and the request has no body or a GetBody (as
// http.NewRequest makes it for bytes and strings).
//
// The token goes to Hosts alone, over https, or over http to a loopback address.
// A request to another host fails with [CodeHost] before anything is sent; if a
// redirect leads there, the request is made without a token. Nothing is logged.
type Transport struct {
	Client *Client // required; [New] makes one

	// Header is the header to use. The zero value is Bearer.
	Header Header

	// Hosts get the token: "api.example.com", "*.example.com" for all below that
	// name, each with ":PORT" where it is not the scheme's own. Nil means
	// *.vmware.com and *.broadcom.com; a list replaces these.
	Hosts []string

	// Base makes the requests. Nil: http.DefaultTransport.
	Base http.RoundTripper
}

// HTTPClient returns an HTTP client with a [Transport] that has its defaults.
func (c *Client) HTTPClient() *http.Client { return &http.Client{Transport: &Transport{Client: c}} }

// afterRefusal is the age at which a token that was refused is worth replacing.
const afterRefusal = time.Minute

// RoundTrip implements http.RoundTripper. It does not change req.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	base := t.Base
	if base == nil {
		base = http.DefaultTransport
	}
	if !t.allows(req.URL) {
		if req.Response != nil { // a redirect, which its server decided on
			return base.RoundTrip(req)
		}
		closeBody(req)
		return nil, &Error{Code: CodeHost, Message: "no token is sent to " + origin(req.URL), Hint: "add the host to Transport.Hosts, and use https"}
	}
	token, err := t.Client.Token(req.Context())
	if err != nil {
		closeBody(req)
		return nil, err
	}
	first := req.Clone(req.Context())
	t.Header.set(first.Header, token.AccessToken)
	resp, err := base.RoundTrip(first)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	again, ok := replay(req)
	if !ok {
		return resp, nil
	}
	younger, err := t.Client.Younger(req.Context(), afterRefusal)
	if err != nil || younger.AccessToken == token.AccessToken {
		closeBody(again)
		return resp, nil //nolint:nilerr // the server's word is what the caller can act on
	}
	// Not read to its end, for the sake of the connection: a server may let that wait.
	_ = resp.Body.Close()
	t.Header.set(again.Header, younger.AccessToken)
	return base.RoundTrip(again)
}

// replay returns req once more, with its body from the start.
func replay(req *http.Request) (*http.Request, bool) {
	again := req.Clone(req.Context())
	if req.Body == nil || req.Body == http.NoBody {
		return again, true
	}
	if req.GetBody == nil {
		return nil, false
	}
	body, err := req.GetBody()
	again.Body = body
	return again, err == nil
}

// closeBody does what RoundTrip owes in any case.
func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}
