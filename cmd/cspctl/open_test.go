package main

import (
	"strings"
	"testing"

	"github.com/cspctl/cspctl/internal/ipc"
)

func TestOpenTakesPagesOnly(t *testing.T) {
	for url, want := range map[string]bool{
		"https://console.cloud.vmware.com/csp/gateway/portal/#/user/tokens": true,
		"https://vcd.example.com:8443/tenant/a%20b":                         true,
		"https://[2001:db8::1]:8443/provider":                               true,
		"http://127.0.0.1:8080/x":                                           true,
		"http://127.8.9.10":                                                 true,
		"http://localhost:1/":                                               true,
		"http://[::1]:80/x?y=1&z=2":                                         true,

		"":                                       false,
		"https://":                               false,
		"https:///path":                          false,
		"https://:443/":                          false,
		"http://console.cloud.vmware.com/":       false,
		"http://127.0.0.1.example.com/":          false,
		"http://127.0.0.1@example.com/":          false,
		"http://127.0.0.1:80@example.com/":       false,
		"https://user:pw@example.com/":           false,
		"http://localhost.example.com/":          false,
		"http://[::1].example.com/":              false,
		"http://[::2]/":                          false,
		"http://127.1/":                          false,
		"http://128.0.0.1/":                      false,
		"--help":                                 false,
		"-https://example.com/":                  false,
		"file:///etc/passwd":                     false,
		"javascript:https://example.com/":        false,
		"HTTPS://example.com/":                   false,
		"https://example.com/a b":                false,
		"https://example.com/'$(id)'":            false,
		"https://example.com/\n":                 false,
		"https://example.com/\x1b[2J":            false,
		"https://example.com/\"":                 false,
		"https://example.com\\@evil.example":     false,
		"https://example.com/ä":                  false,
		"https://e/" + strings.Repeat("a", 2100): false,
	} {
		if got := ipc.IsPage(url); got != want {
			t.Errorf("%q: %v", url, got)
		}
	}
}

const aPage = "https://console.cloud.vmware.com/csp/gateway/portal/#/user/tokens"

func openable(t *testing.T, page string) *fakeAgent {
	t.Helper()
	f := newAgent(t)
	f.json("GET /v1/profile", ipc.Profile{Name: "prod", Provider: "csp", Server: "https://console.cloud.vmware.com", RenewURL: page})
	return f
}

func TestOpenPrints(t *testing.T) {
	r := shell{agent: openable(t, aPage)}.run(t, "open", "--print")
	r.want(t, 0)
	if r.stdout != aPage+"\n" || r.stderr != "" {
		t.Errorf("%+v", r)
	}
	shell{agent: openable(t, "")}.run(t, "open", "prod", "--print").want(t, 1, "no page is known", "then: cspctl login prod")
	shell{agent: openable(t, "file:///etc/passwd")}.run(t, "open", "--print").want(t, 1, "not one to open")
	f := newAgent(t)
	f.profiles("prod")
	shell{agent: f}.run(t, "open", "nobody").want(t, 3, `no profile "nobody"`)
	shell{agent: f}.run(t, "open", "a", "b").want(t, 2, "at most 1")
}
