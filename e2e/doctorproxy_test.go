//go:build unix

package e2e_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// T12: a proxy that does not let anybody through, and one that wants a
// password. What goes to it holds no secret.
func TestT12DoctorOnProxies(t *testing.T) {
	for status, words := range map[int]string{
		http.StatusForbidden:         `does not connect to console.cloud.vmware.com \(403\)|does not connect to console.cloud.vmware.com:443 \(403\)`,
		http.StatusProxyAuthRequired: `wants a user and password \(407\)`,
	} {
		asked := make(chan string, 10)
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked <- r.Method + " " + r.Host + " " + r.Header.Get("Authorization")
			w.WriteHeader(status)
		}))
		w := worldFor(t)
		r := w.examined(t, "HTTPS_PROXY="+proxy.URL)
		want(t, r, "server", "fail", words, "check HTTPS_PROXY, NO_PROXY and the proxy in the settings")
		want(t, r, "proxy", "ok", "of the environment: "+strings.TrimPrefix(proxy.URL, "http://"))
		if got := <-asked; got != "CONNECT console.cloud.vmware.com:443 " {
			t.Errorf("the proxy was asked %q", got)
		}
		proxy.Close()
	}
}
