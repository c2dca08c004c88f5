package launch

import (
	"strings"
	"testing"
)

func TestCheckPage(t *testing.T) {
	for page, want := range map[string]string{
		"https://console.cloud.vmware.com/csp/gateway/portal/#/user/tokens": "https://console.cloud.vmware.com/csp/gateway/portal/#/user/tokens",
		"https://example.com/a?b=c&d=e%20f":                                 "https://example.com/a?b=c&d=e%20f",
		"HTTPS://example.com":                                               "https://example.com",
		"http://127.0.0.1:8080/x":                                           "http://127.0.0.1:8080/x",
		"http://[::1]/x":                                                    "http://[::1]/x",
		"http://localhost/":                                                 "http://localhost/",
		"https://example.com/a b":                                           "https://example.com/a%20b",
		"https://example.com/ä":                                             "https://example.com/%C3%A4",
		"http://example.com/":                                               "",
		"http://127.0.0.1.example.com/":                                     "",
		"http://localhost.example.com/":                                     "",
		"file:///etc/passwd":                                                "",
		"javascript:alert(1)":                                               "",
		"ssh://example.com":                                                 "",
		"-https://example.com":                                              "",
		"https:example.com":                                                 "",
		"https://":                                                          "",
		"https://user@example.com/":                                         "",
		"https://example.com/\x1b[2J":                                       "",
		"https://exa\"mple.com/":                                            "",
		"https://example.com/?q=\"&calc":                                    "",
		"https://example.com/?q=^a|b":                                       "",
		"https://example.com/?q=$(id)'":                                     "",
		"https://example.com/" + strings.Repeat("a", maxURL):                "",
		"": "",
	} {
		got, err := checkPage(page)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v", page, got, err)
		}
	}
}
