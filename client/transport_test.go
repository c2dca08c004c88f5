//go:build unix

package client_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cspctl/cspctl/client"
)

// api is a server that takes one token alone, and says what it was sent.
func api(t *testing.T, header, good string) (*httptest.Server, *atomic.Int32) {
	t.Helper()
	var n atomic.Int32
	s := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		n.Add(1)
		body, _ := io.ReadAll(r.Body)
		if r.Header.Get(header) != good {
			http.Error(rw, "who are you?", http.StatusUnauthorized)
			return
		}
		fmt.Fprintf(rw, "%s %s", r.Method, body)
	}))
	t.Cleanup(s.Close)
	return s, &n
}

func transport(c *client.Client, s *httptest.Server) *client.Transport {
	u, _ := url.Parse(s.URL)
	return &client.Transport{Client: c, Hosts: []string{u.Host}, Base: s.Client().Transport}
}

func do(t *testing.T, rt http.RoundTripper, req *http.Request, err error) (int, string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: rt}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestTransport(t *testing.T) {
	for _, c := range []struct {
		name     string
		header   client.Header
		wire     string
		value    string // that the server takes
		younger  bool   // whether the agent can have one
		body     io.Reader
		status   int
		answer   string
		requests int32
		asked    int
	}{
		{"bearer", client.Bearer, "Authorization", "Bearer token-0", false, nil, 200, "PUT ", 1, 1},
		{"csp-auth-token", client.CSPAuthToken, "csp-auth-token", "token-0", false, nil, 200, "PUT ", 1, 1},
		{"401, renewed", client.Bearer, "Authorization", "Bearer token-1", true, nil, 200, "PUT ", 2, 2},
		{"401, renewed, with a body", client.CSPAuthToken, "csp-auth-token", "token-1", true, strings.NewReader("hello"), 200, "PUT hello", 2, 2},
		{"401, a body that can't be had again", client.Bearer, "Authorization", "Bearer token-1", true, io.MultiReader(strings.NewReader("hello")), 401, "who are you?\n", 1, 1},
		{"401, no other token", client.Bearer, "Authorization", "Bearer token-1", false, strings.NewReader("hello"), 401, "who are you?\n", 1, 2},
		{"401 twice", client.Bearer, "Authorization", "Bearer nobody", true, nil, 401, "who are you?\n", 2, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, cl := newAgent(t, client.Options{})
			a.set(func() { a.younger = c.younger })
			s, n := api(t, c.wire, c.value)
			rt := transport(cl, s)
			rt.Header = c.header
			req, err := http.NewRequestWithContext(t.Context(), "PUT", s.URL, c.body)
			status, answer := do(t, rt, req, err)
			if status != c.status || answer != c.answer || n.Load() != c.requests {
				t.Errorf("%d %q after %d requests", status, answer, n.Load())
			}
			if asked := a.requests(); len(asked) != c.asked || c.asked == 2 && asked[1] != "max_age=1m0s&warnings=always" {
				t.Errorf("the agent was asked for %q", asked)
			}
			if len(req.Header) != 0 {
				t.Errorf("the request was changed: %d headers", len(req.Header))
			}
		})
	}
}

// The token goes to the hosts that are listed, and nowhere else.
func TestTransportHosts(t *testing.T) {
	for _, c := range []struct {
		hosts []string
		url   string
		want  bool
	}{
		{nil, "https://vmc.vmware.com/vmc/api/orgs", true},
		{nil, "https://VMC.VMware.com/", true},
		{nil, "https://vmc.vmware.com:443/", true},
		{nil, "https://console.tanzu.broadcom.com/", true},
		{nil, "http://vmc.vmware.com/", false},
		{nil, "https://vmc.vmware.com:8443/", false},
		{nil, "https://vmware.com/", false},
		{nil, "https://evilvmware.com/", false},
		{nil, "https://vmc.vmware.com.example.com/", false},
		{nil, "https://vmc.vmware.com@example.com/", false},
		{nil, "https://example.com/", false},
		{nil, "http://localhost/", false},
		{[]string{"api.example.com"}, "https://api.example.com/", true},
		{[]string{"api.example.com"}, "https://x.api.example.com/", false},
		{[]string{"api.example.com"}, "https://vmc.vmware.com/", false},
		{[]string{"api.example.com"}, "http://api.example.com/", false},
		{[]string{"api.example.com:8443"}, "https://api.example.com:8443/", true},
		{[]string{"api.example.com:8443"}, "https://api.example.com/", false},
		{[]string{"127.0.0.1:8080", "[::1]"}, "http://127.0.0.1:8080/", true},
		{[]string{"127.0.0.1:8080", "[::1]"}, "http://[::1]/", true},
		{[]string{"127.0.0.1:8080", "[::1]"}, "http://127.0.0.1/", false},
		{[]string{"*."}, "https://example.com/", false},
		{[]string{}, "https://vmc.vmware.com/", false},
	} {
		_, cl := newAgent(t, client.Options{})
		sent := false
		base := roundTrip(func(r *http.Request) (*http.Response, error) {
			sent = r.Header.Get("Authorization") == "Bearer token-0"
			return nil, errors.New("there is no network")
		})
		body := &closed{Reader: strings.NewReader("x")}
		req, err := http.NewRequestWithContext(t.Context(), "POST", c.url, body)
		if err != nil {
			t.Fatal(err)
		}
		_, err = (&client.Transport{Client: cl, Hosts: c.hosts, Base: base}).RoundTrip(req)
		e, refused := errors.AsType[*client.Error](err)
		if sent != c.want || refused == c.want {
			t.Errorf("%v, %s: sent: %v, %v", c.hosts, c.url, sent, err)
		}
		if refused && (e.Code != client.CodeHost || e.ExitCode() != 2 || !body.done) {
			t.Errorf("%s: %v; the body was closed: %v", c.url, e, body.done)
		}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type closed struct {
	io.Reader
	done bool
}

func (c *closed) Close() error { c.done = true; return nil }

// A server can send its callers anywhere; the token does not go along.
func TestTransportRedirects(t *testing.T) {
	for _, h := range []client.Header{client.Bearer, client.CSPAuthToken} {
		var got http.Header
		other := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { got = r.Header }))
		t.Cleanup(other.Close)
		s := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, other.URL, http.StatusTemporaryRedirect)
		}))
		t.Cleanup(s.Close)
		_, c := newAgent(t, client.Options{})
		rt := transport(c, s) // httptest's certificate is the same for all of its servers
		rt.Header = h
		req, err := http.NewRequestWithContext(t.Context(), "GET", s.URL, nil)
		if status, _ := do(t, rt, req, err); status != 200 {
			t.Error(status)
		}
		var sent bytes.Buffer
		_ = got.Write(&sent)
		if got == nil || strings.Contains(sent.String(), "token") {
			t.Errorf("the other server was sent %q", sent.String())
		}
	}
}

func TestTransportWithoutAToken(t *testing.T) {
	a, c := newAgent(t, client.Options{Profile: "dead"})
	a.set(func() { a.refuse["dead"] = `{"code":"locked","message":"the agent is locked","hint":"cspctl unlock"}` })
	s, n := api(t, "Authorization", "")
	req, err := http.NewRequestWithContext(t.Context(), "GET", s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = (&http.Client{Transport: transport(c, s)}).Do(req)
	if e, ok := errors.AsType[*client.Error](err); !ok || e.ExitCode() != 8 || n.Load() != 0 {
		t.Errorf("%v, and %d requests", err, n.Load())
	}
}

// A server that does not end the text of its 401 holds nobody up.
func TestTransportDoesNotWaitForTheEndOfARefusal(t *testing.T) {
	a, c := newAgent(t, client.Options{})
	a.set(func() { a.younger = true })
	end := make(chan struct{})
	s := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer token-1" {
			rw.WriteHeader(http.StatusUnauthorized)
			rw.(http.Flusher).Flush()
			<-end
		}
	}))
	t.Cleanup(s.Close)
	t.Cleanup(func() { close(end) })
	req, err := http.NewRequestWithContext(t.Context(), "GET", s.URL, nil)
	if code, _ := do(t, transport(c, s), req, err); code != http.StatusOK {
		t.Errorf("%d", code)
	}
}
