package provider

import (
	"strings"
	"testing"
)

func TestIsPage(t *testing.T) {
	for page, want := range map[string]bool{
		"https://console.cloud.vmware.com/csp/gateway/portal/#/user/tokens": true,
		"https://example.com/a?b=c&d=e%20f":                                 true,
		"HTTPS://example.com":                                               false,
		"http://127.0.0.1:8080/x":                                           true,
		"http://[::1]/x":                                                    true,
		"http://localhost/":                                                 true,
		"https://example.com/a b":                                           false,
		"https://example.com/ä":                                             false,
		"http://example.com/":                                               false,
		"http://127.0.0.1.example.com/":                                     false,
		"http://localhost.example.com/":                                     false,
		"file:///etc/passwd":                                                false,
		"javascript:alert(1)":                                               false,
		"ssh://example.com":                                                 false,
		"-https://example.com":                                              false,
		"https:example.com":                                                 false,
		"https://":                                                          false,
		"https://user@example.com/":                                         false,
		"https://example.com/\x1b[2J":                                       false,
		"https://exa\"mple.com/":                                            false,
		"https://example.com/?q=\"&calc":                                    false,
		"https://example.com/?q=^a|b":                                       false,
		"https://example.com/?q=$(id)'":                                     false,
		"https://example.com/" + strings.Repeat("a", maxPage):               false,
		"": false,
	} {
		if got := IsPage(page); got != want {
			t.Errorf("%q: %v", page, got)
		}
	}
}
