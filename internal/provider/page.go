package provider

import (
	"strconv"
	"strings"
)

// maxPage bounds a page's URL, in bytes; browsers and command lines have limits
// of their own.
const maxPage = 2000

// IsPage reports whether a URL may be handed to another program: https, or
// http on this machine, in the characters of RFC 3986 alone. It can then be no
// option, no other scheme and no word of a shell but one.
func IsPage(url string) bool {
	const others = "-._~:/?#[]@!$&()*+,;=%" // without the quote
	for i := range len(url) {
		c := url[i]
		if ('a' > c || c > 'z') && ('A' > c || c > 'Z') && ('0' > c || c > '9') && strings.IndexByte(others, c) < 0 {
			return false
		}
	}
	scheme, rest, _ := strings.Cut(url, "://")
	host := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		host = rest[:i]
	}
	if strings.ContainsRune(host, '@') || len(url) > maxPage {
		return false
	}
	name := host
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		name = host[:i]
		if !isNumber(host[i+1:], 1, 65535) {
			return false
		}
	}
	return scheme == "https" && name != "" || scheme == "http" && isLoopback(name)
}

// isLoopback reports whether a host is this machine: RFC 6761 for the name, RFC
// 1122 and 4291 for the addresses.
func isLoopback(host string) bool {
	if host == "localhost" || host == "[::1]" {
		return true
	}
	parts := strings.Split(host, ".")
	if len(parts) != 4 || parts[0] != "127" {
		return false
	}
	for _, p := range parts {
		if !isNumber(p, 0, 255) {
			return false
		}
	}
	return true
}

// isNumber reports whether s is a number in digits, from least to most.
func isNumber(s string, least, most int) bool {
	n, err := strconv.Atoi(s)
	return err == nil && strings.Trim(s, "0123456789") == "" && n >= least && n <= most
}
