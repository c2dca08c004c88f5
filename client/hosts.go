package client

import (
	"cmp"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

var defaultHosts = []string{"*.vmware.com", "*.broadcom.com"}

// allows reports whether the token may go to a URL.
func (t *Transport) allows(u *url.URL) bool {
	host, port := strings.ToLower(u.Hostname()), u.Port()
	own := map[string]string{"https": "443", "http": "80"}[u.Scheme]
	if host == "" || own == "" || u.Scheme == "http" && !isLoopback(host) {
		return false
	}
	hosts := t.Hosts
	if hosts == nil {
		hosts = defaultHosts
	}
	for _, h := range hosts {
		name, p, err := net.SplitHostPort(h)
		if err != nil { // there is no port
			name, p = strings.Trim(h, "[]"), own
		}
		if p == cmp.Or(port, own) && matches(strings.ToLower(name), host) {
			return true
		}
	}
	return false
}

func matches(pattern, host string) bool {
	if domain, ok := strings.CutPrefix(pattern, "*."); ok {
		return domain != "" && strings.HasSuffix(host, "."+domain) && len(host) > len(domain)+1
	}
	return pattern == host
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// origin is what an error says of a URL: neither its user nor its query, which
// may hold secrets.
func origin(u *url.URL) string { return (&url.URL{Scheme: u.Scheme, Host: u.Host}).String() }
