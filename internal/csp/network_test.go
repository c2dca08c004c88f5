package csp_test

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cspctl/cspctl/internal/csp"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/sim"
)

// discard swallows what httptest's servers say of refused handshakes.
var discard = log.New(io.Discard, "", 0)

// deadAddress is an address where nobody listens.
func deadAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestNobodyListens(t *testing.T) {
	address := deadAddress(t)
	_, err := csp.New(csp.Options{}).Exchange(t.Context(), credential("http://"+address, fake), provider.Request{})
	if e := mustFail(t, err, provider.Transient, ""); !strings.Contains(e.Message, "can't reach "+address) {
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
		"wants a password": {"http://jo:" + fake + "@" + answer(407), "wants a user and password"},
		"forbids":          {"http://" + answer(403), "does not connect to csp.example.com (403)"},
		"is away":          {"http://jo:" + fake + "@" + deadAddress(t), "can't reach the proxy 127.0.0.1"},
		"is away (SOCKS)":  {"socks5://" + deadAddress(t), "can't reach the proxy 127.0.0.1"},
	} {
		u, err := url.Parse(c.proxy)
		if err != nil {
			t.Fatal(err)
		}
		_, err = csp.New(csp.Options{Proxy: http.ProxyURL(u)}).Exchange(t.Context(), credential("https://csp.example.com", fake), provider.Request{})
		e := mustFail(t, err, provider.Transient, "")
		if !strings.Contains(e.Message, c.want) || !strings.Contains(e.Hint, "HTTPS_PROXY") {
			t.Errorf("%s: message %q, hint %q", name, e.Message, e.Hint)
		}
	}
}

// A proxy would see the body of a plain http request.
func TestLoopbackGoesThroughNoProxy(t *testing.T) {
	_, cred := simulated(t, sim.APIToken{})
	proxy := func(*http.Request) (*url.URL, error) {
		t.Error("a proxy is looked for")
		return nil, nil
	}
	if _, err := csp.New(csp.Options{Proxy: proxy}).Exchange(t.Context(), cred, provider.Request{}); err != nil {
		t.Error(err)
	}
}

func TestT8CloseIdleMakesTheNextCallDial(t *testing.T) {
	server, cred := secure(t, "127.0.0.1")
	var opened atomic.Int32
	next := server.Config.ConnState
	server.Config.ConnState = func(c net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
		next(c, state)
	}
	c := csp.New(csp.Options{})
	for step, want := range []int32{1, 1, 2} {
		if step == 2 {
			c.CloseIdle()
		}
		if _, err := c.Exchange(t.Context(), cred, provider.Request{}); err != nil {
			t.Fatal(err)
		}
		if got := opened.Load(); got != want {
			t.Errorf("step %d: %d connections, want %d", step, got, want)
		}
	}
}
