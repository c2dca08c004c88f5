package main

import (
	"strconv"
	"strings"

	"github.com/cspctl/cspctl/internal/ipc"
)

// curlURL is a URL that every program reads alike.
type curlURL struct {
	text   string // with scheme and host in lower case
	scheme string // https or http
	host   string
	port   string // never empty
	path   string // with what follows it
}

// readCurlURL reads a URL, and refuses what two programs could read as two
// hosts: no userinfo, no escapes, brackets or other letters in the host, no
// address in an odd notation.
func readCurlURL(s string) (u curlURL, _ error) {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '\\' {
			return u, usage("the URL has a space, a backslash, or what is not printable ASCII in it", "write it as %20, %5C and so on")
		}
	}
	scheme, rest, ok := strings.Cut(s, "://")
	u.scheme = strings.ToLower(scheme)
	if !ok || u.scheme != "https" && u.scheme != "http" {
		return u, usage("the URL does not begin with https://", "")
	}
	at := strings.IndexAny(rest, "/?#")
	if at < 0 {
		at = len(rest)
	}
	authority, path := rest[:at], rest[at:]
	host, port, has := strings.Cut(strings.ToLower(authority), ":")
	switch {
	case strings.Contains(authority, "@"):
		return u, usage("the URL has a user or a password in it", "leave it out: the token is all that is sent")
	case !ipc.CheckHost(host):
		return u, usage("the URL's host is not a plain name or IPv4 address", "use letters, digits, dots and hyphens, and no dot at the end")
	case path != "" && path[0] != '/':
		return u, usage("the URL has no / after the host", "put one there")
	}
	u.host, u.port, u.path = host, defaultPort(u.scheme), path
	if has {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
			return u, usage("the port in the URL is not a number from 1 to 65535", "")
		}
		u.port = port
		host += ":" + port
	}
	if u.scheme == "http" && !u.loopback() {
		return u, usage("the URL is not https, and the token would go in the clear", "use https://; http:// is for 127.0.0.1 and localhost alone")
	}
	u.text = u.scheme + "://" + host + path
	return u, nil
}

func defaultPort(scheme string) string {
	if scheme == "http" {
		return "80"
	}
	return "443"
}

// loopback reports whether the host is this machine: CheckHost has seen to it
// that 127. begins an address, or a name that has letters behind it.
func (u curlURL) loopback() bool {
	rest, ok := strings.CutPrefix(u.host, "127.")
	return u.host == "localhost" || ok && strings.Trim(rest, "0123456789.") == ""
}
