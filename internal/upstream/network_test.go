package upstream_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
	"github.com/cspctl/cspctl/internal/upstream"
	"github.com/cspctl/cspctl/internal/upstream/upstreamtest"
)

var system = &upstream.System{Name: "Cloud Services", Secret: "API token", RequestID: "X-Request-Id"}

func at(origin string) provider.Credential {
	return provider.Credential{Binding: provider.Binding{Origin: origin}}
}

// ask makes one call with a secret in its body.
func ask(t *testing.T, c *upstream.Client, cred provider.Credential) (upstream.Reply, error) {
	t.Helper()
	return c.Do(t.Context(), cred, upstream.Call{System: system, Path: "/x", Type: upstream.Form, Body: "api_token=" + upstreamtest.Secret,
		Clean: upstream.NewCleaner(upstream.RemainSize, secret.New(upstreamtest.Secret))})
}

func TestNobodyListens(t *testing.T) {
	address := upstreamtest.DeadAddress(t)
	_, err := ask(t, upstream.New(upstream.Options{}), at("http://"+address))
	if e := upstreamtest.MustFail(t, err, provider.Transient, ""); !strings.Contains(e.Message, "can't reach "+address) {
		t.Errorf("message %q", e.Message)
	}
}

func TestProxyTroubleIsNamed(t *testing.T) {
	answer := func(status int) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodConnect {
				t.Errorf("the proxy sees %s %s", r.Method, r.URL)
			}
			w.WriteHeader(status)
		}))
		t.Cleanup(s.Close)
		return strings.TrimPrefix(s.URL, "http://")
	}
	for name, c := range map[string]struct{ proxy, want string }{
		"wants a password": {"http://jo:" + upstreamtest.Secret + "@" + answer(407), "wants a user and password"},
		"forbids":          {"http://" + answer(403), "does not connect to csp.example.com (403)"},
		"is away":          {"http://jo:" + upstreamtest.Secret + "@" + upstreamtest.DeadAddress(t), "can't reach the proxy 127.0.0.1"},
		"is away (SOCKS)":  {"socks5://" + upstreamtest.DeadAddress(t), "can't reach the proxy 127.0.0.1"},
	} {
		u, err := url.Parse(c.proxy)
		if err != nil {
			t.Fatal(err)
		}
		_, err = ask(t, upstream.New(upstream.Options{Proxy: http.ProxyURL(u)}), at("https://csp.example.com"))
		e := upstreamtest.MustFail(t, err, provider.Transient, "")
		if !strings.Contains(e.Message, c.want) || !strings.Contains(e.Hint, "HTTPS_PROXY") {
			t.Errorf("%s: message %q, hint %q", name, e.Message, e.Hint)
		}
	}
}

// A proxy would see the body of a plain http request.
func TestLoopbackGoesThroughNoProxy(t *testing.T) {
	server := httptest.NewServer(upstreamtest.SayJSON(200, "{}"))
	defer server.Close()
	proxy := func(*http.Request) (*url.URL, error) {
		t.Error("a proxy is looked for")
		return nil, nil
	}
	if _, err := ask(t, upstream.New(upstream.Options{Proxy: proxy}), at(server.URL)); err != nil {
		t.Error(err)
	}
}

// counted counts the connections that a server of Secure is asked over.
func counted(t *testing.T) (provider.Credential, *atomic.Int32) {
	t.Helper()
	var opened atomic.Int32
	var peers sync.Map
	server, ca := upstreamtest.Secure(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte("{}"))
		if _, known := peers.LoadOrStore(r.RemoteAddr, true); !known {
			opened.Add(1)
		}
	}), "127.0.0.1")
	cred := at(server.URL)
	cred.CA = ca
	return cred, &opened
}

func TestT8CloseIdleMakesTheNextCallDial(t *testing.T) {
	cred, opened := counted(t)
	c := upstream.New(upstream.Options{})
	call := func() int32 {
		t.Helper()
		if _, err := ask(t, c, cred); err != nil {
			t.Fatal(err)
		}
		return opened.Load()
	}
	if call(); call() != 1 {
		t.Errorf("%d connections for two calls", opened.Load())
	}
	// HTTP/2 notes a moment after the answer that the connection is idle.
	for range 100 {
		if c.CloseIdle(); call() > 1 {
			return
		}
	}
	t.Error("the connection is still in use")
}

func TestSetPutsOtherOptionsInForce(t *testing.T) {
	cred, opened := counted(t)
	agent := ""
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { agent = r.UserAgent() }))
	defer server.Close()
	c := upstream.New(upstream.Options{})
	for _, want := range []string{"cspctl", "cspctl/2"} {
		if want != "cspctl" {
			c.Set(upstream.Options{UserAgent: want, ExtraCA: cred.CA})
			cred.CA = nil // the settings vouch for it now
		}
		if _, err := ask(t, c, cred); err != nil {
			t.Fatal(err)
		}
		if _, err := ask(t, c, at(server.URL)); err != nil || agent != want {
			t.Errorf("the server is told %q, %v; want %q", agent, err, want)
		}
	}
	if n := opened.Load(); n != 2 {
		t.Errorf("%d connections: other options need others", n)
	}
}

// What a broken answer holds may be all that is left of a rotated secret.
func TestBrokenAnswerComesAlong(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte(`{"a":1,`))
	}))
	defer server.Close()
	r, err := ask(t, upstream.New(upstream.Options{}), at(server.URL))
	e := upstreamtest.MustFail(t, err, provider.Transient, "")
	if string(r.Body) != `{"a":1,` || e.Status != 0 || !strings.Contains(e.Message, "broke off") {
		t.Errorf("got %q, %+v", r.Body, e)
	}
}
