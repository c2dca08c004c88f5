package upstream

import (
	"strings"
	"testing"

	"github.com/cspctl/cspctl/internal/upstream/upstreamtest"
)

const console = "https://console.cloud.vmware.com"

func TestParseServer(t *testing.T) {
	for _, c := range []struct{ in, want, fails string }{
		{in: console, want: console},
		{in: "console.cloud.vmware.com", want: console},
		{in: " HTTPS://Console.Cloud.VMware.com/ \n", want: console},
		{in: "https://console.cloud.vmware.com.", want: console},
		{in: "console.cloud.vmware.com:443", want: console},
		{in: "csp.example.com:8443", want: "https://csp.example.com:8443"},
		{in: "https://csp.example.com:08443", want: "https://csp.example.com:8443"},
		{in: "http://127.0.0.1:8080", want: "http://127.0.0.1:8080"},
		{in: "http://127.1.2.3", want: "http://127.1.2.3"},
		{in: "http://[::1]:8080/", want: "http://[::1]:8080"},
		{in: "http://LOCALHOST:80", want: "http://localhost"},
		{in: "localhost:8443", want: "https://localhost:8443"},
		{in: "https://[0:0:0:0:0:0:0:1]", want: "https://[::1]"},
		{in: "xn--bcher-kva.example", want: "https://xn--bcher-kva.example"},

		{in: "", fails: "empty"},
		{in: "https://", fails: "no host"},
		{in: "https://:8443", fails: "no host"},
		{in: "http://csp.example.com", fails: "write https://csp.example.com"},
		{in: "http://csp.example.com:8080", fails: "write https://csp.example.com:8080"},
		{in: "http://localhost.example.com", fails: "plain http"},
		{in: "http://127.0.0.1.example.com", fails: "plain http"},
		{in: "ftp://csp.example.com", fails: "https"},
		{in: console + "/csp/gateway", fails: "no path: write " + console},
		{in: console + "?api_token=" + upstreamtest.Secret, fails: "no query: write " + console},
		{in: console + "#x", fails: "no query"},
		{in: "https://user:" + upstreamtest.Secret + "@csp.example.com", fails: "user or password: write https://csp.example.com"},
		{in: "https://csp.example.com:", fails: "colon without a port"},
		{in: "https://csp.example.com:0", fails: "port"},
		{in: "https://csp.example.com:99999", fails: "port"},
		{in: "https://csp.example.com:port", fails: "no URL"},
		{in: "https://[fe80::1%25eth0]", fails: "character"},
		{in: "https://bücher.example", fails: "xn--"},
		{in: "https://a b", fails: "no URL"},
		{in: "https://-a.example", fails: "character"},
		{in: "https://a..b", fails: "character"},
		{in: "a;b", fails: "character"},
	} {
		got, err := ParseServer(c.in)
		switch {
		case c.fails == "" && (err != nil || got != c.want):
			t.Errorf("%q: got %q, %v; want %q", c.in, got, err, c.want)
		case c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)):
			t.Errorf("%q: got %q, %v; want an error with %q", c.in, got, err, c.fails)
		case err != nil:
			upstreamtest.NoRemains(t, "the error", err.Error(), upstreamtest.Secret, RemainSize)
		}
	}
}

func FuzzParseServer(f *testing.F) {
	for _, s := range []string{console, "localhost:1", "http://[::1]:80/", "https://u:p@h/?q#f", "//h", "::", "http://0x7f.1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		origin, err := ParseServer(s)
		if err != nil {
			if origin != "" {
				t.Errorf("%q with error %v", origin, err)
			}
			return
		}
		if again, err := ParseServer(origin); err != nil || again != origin {
			t.Errorf("%q becomes %q, then %q, %v", s, origin, again, err)
		}
		host, plain := strings.CutPrefix(origin, "http://")
		if plain && !strings.HasPrefix(host, "127.") && !strings.HasPrefix(host, "[::1]") && !strings.HasPrefix(host, "[::ffff:127.") && !strings.HasPrefix(host, "localhost") {
			t.Errorf("plain http to %q", host)
		}
		if !plain && !strings.HasPrefix(origin, "https://") || strings.ContainsAny(origin[8:], "/?#@ \n") {
			t.Errorf("origin %q", origin)
		}
	})
}

func TestCheckSecret(t *testing.T) {
	for _, c := range []struct{ name, in, want, fails string }{
		{name: "as it is", in: upstreamtest.Secret, want: upstreamtest.Secret},
		{name: "blanks and line end", in: "  " + upstreamtest.Secret + "\r\n", want: upstreamtest.Secret},
		{name: "quotes", in: `"` + upstreamtest.Secret + `"` + "\n", want: upstreamtest.Secret},
		{name: "typographic quotes", in: "\u201c" + upstreamtest.Secret + "\u201d", want: upstreamtest.Secret},
		{name: "byte order mark", in: "\ufeff" + upstreamtest.Secret, want: upstreamtest.Secret},
		{name: "short", in: "x", want: "x"},
		{name: "other alphabet", in: "a+b/c=", want: "a+b/c="},
		{name: "longest", in: strings.Repeat("a", 4096), want: strings.Repeat("a", 4096)},

		{name: "empty", in: "", fails: "empty"},
		{name: "quotes alone", in: " '' \n", fails: "empty"},
		{name: "two lines", in: upstreamtest.Secret + "\n" + upstreamtest.Secret, fails: "line break"},
		{name: "control character", in: "ab\x00cd", fails: "control"},
		{name: "UTF-16", in: "a\x00b\x00", fails: "control"},
		{name: "not text", in: "ab\xffcd", fails: "control"},
		{name: "access token", in: upstreamtest.JWT() + "\n", fails: "access token"},
		{name: "access token with its scheme", in: "Bearer " + upstreamtest.JWT(), fails: "My Account > API Tokens"},
		{name: "access token of 9000 characters", in: "eyJ" + strings.Repeat("a", 3000) + ".b.c", fails: "access token"},
		{name: "a stand-in", in: "csp_standin_" + strings.Repeat("a", 52), fails: "stand-in of cspctl exec"},
		{name: "too long", in: strings.Repeat("a", 4097), fails: "too long"},
		{name: "far too long", in: strings.Repeat("a", 1<<20), fails: "too long"},
	} {
		got, err := system.CheckSecret(c.in)
		switch {
		case c.fails == "" && (err != nil || got.Reveal() != c.want):
			t.Errorf("%s: got %d bytes, %v", c.name, got.Len(), err)
		case c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails) || !got.IsZero()):
			t.Errorf("%s: got %v, want an error with %q", c.name, err, c.fails)
		case err != nil:
			upstreamtest.NoRemains(t, "the error", err.Error(), upstreamtest.Secret, RemainSize)
			upstreamtest.Presentable(t, err.Error())
		}
	}
}

func FuzzCheckSecret(f *testing.F) {
	f.Add(upstreamtest.Secret)
	f.Add("'" + upstreamtest.JWT() + "'")
	f.Add("\u00a0\u2003")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := system.CheckSecret(s)
		if (err == nil) == got.IsZero() {
			t.Errorf("%v with error %v", got.Len(), err)
		}
		if again, err2 := system.CheckSecret(got.Reveal()); err == nil && (err2 != nil || !again.Equal(got)) {
			t.Errorf("a checked secret is judged anew: %v", err2)
		}
	})
}
