package main

import (
	"net/url"
	"strings"
	"testing"

	"github.com/cspctl/cspctl/internal/ipc"
)

func TestCurlOptions(t *testing.T) {
	const u = "https://api.example/x"
	for _, c := range []struct {
		args, want string // want: the options as curl gets them, or "!" and what the error says
	}{
		{"-sSf " + u, "-s -S -f"},
		{"-XPOST prod " + u, "-X POST"},
		{"-sd@file -ofile " + u, "-s -d @file -o file"},
		{"--json @f --fail-with-body " + u, "--json @f --fail-with-body"},
		{"-o -L " + u, "-o -L"}, // a value, as curl has it
		{"-H Accept:x " + u, "-H Accept:x"},
		{"--auth=bearer " + u, ""},
		{"-sLf " + u, "!takes the token along"},
		{"-sv " + u, "!shows the token"},
		{"--verb " + u, "!not among the options"},
		{"--loc " + u, "!not among the options"},
		{"--output=x " + u, "!not among the options"},
		{"-K f " + u, "!a file could hold"}, {"-k " + u, "!--insecure"}, {"-x p " + u, "!HTTPS_PROXY"}, {"-: " + u, "!--next"},
		{"-u a:b " + u, "!who asks"}, {"--url " + u, "!one URL"}, {"--resolve a:1:b " + u, "!another host"},
		{"--connect-to ::b " + u, "!another host"}, {"--trace - " + u, "!shows the token"}, {"-n " + u, "!not among"},
		{"-H @f " + u, "!from a file"}, {"-H AUTHORIZATION:x " + u, "!authorization"}, {"-HHost;x " + u, "!host"},
		{"-H Csp-Auth-Token: " + u, "!csp-auth-token"}, {"-H Proxy-Authorization:x " + u, "!proxy-"}, {"-H a@b " + u, "!not a header"},
		{"--auth basic " + u, "!not one of"}, {"-X", "!needs a value"}, {"", "!needs URL"}, {u + " " + u, "!one URL"},
	} {
		call, err := readCurl(strings.Fields(c.args), false)
		if want, bad := strings.CutPrefix(c.want, "!"); bad {
			if err == nil || exitCode(err) != exitUsage || !strings.Contains(err.Error(), want) && !strings.Contains(err.Error()+errHint(err), want) {
				t.Errorf("%q: %v", c.args, err)
			}
		} else if err != nil || strings.Join(call.options, " ") != c.want || call.url.text != u {
			t.Errorf("%q: %+v, %v", c.args, call, err)
		}
	}
	if _, err := readCurl([]string{"-A", "x\r\nHost: evil", u}, false); err == nil {
		t.Error("a header of one's own in -A")
	}
	for _, args := range []string{"-d @-", "-T -", "-F a=@-", "--json @-"} {
		if _, err := readCurl(append(strings.Fields(args), u), true); err == nil {
			t.Errorf("%s where stdin is taken", args)
		}
	}
}

func errHint(err error) string {
	if e, ok := err.(*ipc.Error); ok {
		return e.Hint
	}
	return ""
}

var oddURLs = []string{
	"http://api.example/", "ftp://api.example/", "api.example", "https:/api.example/", "https:///x", "https://", "https://a@b/", "https://a:b@c/",
	"https://a\\@b/", "https://a b/", "https://a\tb/", "https://a\r\n/", "https://b%2ecom/", "https://[::1]/", "https://bücher.example/", "https://xn--bcher-kva.example/",
	"https://0x7f.1/", "https://0177.0.0.1/", "https://2130706433/", "https://127.1/", "https://1.2.3.4.5/", "https://256.1.1.1/", "https://01.1.1.1/", "https://127.0.0.0x1/",
	"https://a..b/", "https://a./", "https://.a/", "https://-a/", "https://a:0/", "https://a:65536/", "https://a:/", "https://a:x/", "https://a:0443/",
	"https://a?x", "https://a#@b/", "https://a;b/", "https://a,b/", "https://{a,b}/", "http://127.evil.example/", "http://127.0.0.1.evil.example/",
}

func TestCurlRefusesOddURLs(t *testing.T) {
	for _, s := range oddURLs {
		if u, err := readCurlURL(s); err == nil || exitCode(err) != exitUsage {
			t.Errorf("%q: %+v, %v", s, u, err)
		}
	}
}

// Whatever is taken, the standard library sees the same host.
func FuzzCurlURL(f *testing.F) {
	for _, s := range append(oddURLs, "https://API.example:8443/a?b#c", "http://localhost:1/", "HTTPS://10.0.0.1/{a}[1-3]", "https://a/%zz") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := readCurlURL(s)
		if err != nil {
			return
		}
		p, err := url.Parse(u.text)
		if err != nil {
			// It can't read the rest, such as %zz: of the host it is of one mind.
			if p, err = url.Parse(strings.TrimSuffix(u.text, u.path)); err != nil {
				t.Fatalf("%q: %v", s, err)
			}
		}
		port := p.Port()
		if port == "" {
			port = defaultPort(p.Scheme)
		}
		if p.Hostname() != u.host || port != u.port || p.Scheme != u.scheme || p.User != nil {
			t.Errorf("%q: %+v, and net/url has %+v", s, u, p)
		}
	})
}

func TestCurlHosts(t *testing.T) {
	csp := ipc.Hosts{Hosts: []string{"console.cloud.vmware.com", "*.vmware.com", "nsx.example:8443"},
		CSP: []string{"console.cloud.vmware.com", "vmc.vmware.com", "api.mgmt.cloud.vmware.com/ni/"}}
	for _, c := range []struct{ url, want string }{
		{"https://vmc.vmware.com/vmc/api/orgs", "header"}, {"https://console.cloud.vmware.com", "header"},
		{"https://api.mgmt.cloud.vmware.com/ni/x", "header"}, {"https://api.mgmt.cloud.vmware.com/iaas/x", "bearer"}, {"https://nsx.example:8443/", "bearer"},
		{"https://nsx.example/", ""}, {"https://vmware.com/", ""}, {"https://evilvmware.com/", ""}, {"https://vmc.vmware.com:8443/", ""}, {"https://vmc.vmware.com.evil.example/", ""},
	} {
		call, err := readCurl([]string{c.url}, false)
		if err != nil {
			t.Fatal(err)
		}
		if err := call.allowed(csp); (err == nil) != (c.want != "") || err == nil && call.form(csp) != c.want {
			t.Errorf("%s: %v, %s", c.url, err, call.form(csp))
		}
	}
}
