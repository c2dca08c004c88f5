package ipc

import (
	"strconv"
	"strings"
)

// Hosts answers GET /v1/hosts: where a program may take the token of a profile.
type Hosts struct {
	Profile  string `json:"profile"`
	Provider string `json:"provider"`
	Origin   string `json:"origin"` // of the profile's server: https://HOST[:PORT]
	// Hosts are HOST, HOST:PORT or *.DOMAIN, in lower case. Without a port, the
	// default port of the scheme is meant; *.DOMAIN is what is below DOMAIN, and
	// not DOMAIN itself.
	Hosts []string `json:"hosts"`
	// CSP are those of Hosts, each perhaps with a path such as /ni/ behind it, to
	// which HeaderFormCSP goes instead.
	CSP []string `json:"csp_auth_token_hosts,omitempty"`
}

// How a token is sent in a header.
const (
	HeaderFormBearer = "bearer" // Authorization: Bearer TOKEN
	HeaderFormCSP    = "header" // csp-auth-token: TOKEN
)

// HeaderLine is the header, without an end of the line, in which a token is sent.
func HeaderLine(form, token string) string {
	if form == HeaderFormCSP {
		return "csp-auth-token: " + token
	}
	return "Authorization: Bearer " + token
}

// IsToken reports whether a text can stand in a header and in $(...), as every
// token does.
func IsToken(s string) bool { return s != "" && isPrintableASCII(s) }

// CheckHostPattern reports whether s can be an element of Hosts.Hosts.
func CheckHostPattern(s string) bool {
	host, port, has := strings.Cut(s, ":")
	if has {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || port[0] == '0' {
			return false
		}
	}
	if domain, wild := strings.CutPrefix(host, "*."); wild {
		// Not *.com, and no address: those have no domains below them.
		return CheckHost(domain) && strings.Contains(domain, ".") && !endsInNumber(domain)
	}
	return CheckHost(host)
}

// CheckHost reports whether s is a host name in lower case, or an IPv4 address
// of four decimal numbers, that every program reads alike: no IDN, no trailing
// dot, and nothing that inet_aton(3) takes for an address in another notation.
func CheckHost(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	labels := strings.Split(s, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' || strings.HasPrefix(l, "xn--") {
			return false
		}
		for i := range len(l) {
			if c := l[i]; !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-') {
				return false
			}
		}
	}
	if !endsInNumber(s) {
		return true
	}
	if len(labels) != 4 {
		return false
	}
	for _, l := range labels {
		n, err := strconv.ParseUint(l, 10, 8)
		if err != nil || strconv.FormatUint(n, 10) != l {
			return false
		}
	}
	return true
}

// endsInNumber is that of the URL standard: such a host is an address, or none.
func endsInNumber(s string) bool {
	last := s[strings.LastIndexByte(s, '.')+1:]
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(last, "0123456789") == ""
}

// MatchHost reports whether a host and port, in decimal, are meant by one of the
// patterns. def is the default port of the scheme. A pattern may be an IPv6
// address in brackets.
func MatchHost(patterns []string, host, port, def string) bool {
	for _, p := range patterns {
		ph, pp, has := strings.Cut(p, ":")
		if six, ok := strings.CutPrefix(p, "["); ok {
			ph, pp, _ = strings.Cut(six, "]")
			pp, has = strings.CutPrefix(pp, ":")
		}
		if !has {
			pp = def
		}
		domain, wild := strings.CutPrefix(ph, "*")
		if pp == port && (ph == host || wild && strings.HasSuffix(host, domain) && len(host) > len(domain)) {
			return true
		}
	}
	return false
}
