package client

import (
	"cmp"
	"net/netip"
	"net/url"
	"strings"

	"github.com/cspctl/cspctl/internal/ipc"
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
	patterns := make([]string, len(hosts))
	for i, h := range hosts {
		patterns[i] = strings.ToLower(h)
	}
	return ipc.MatchHost(patterns, host, cmp.Or(port, own), own)
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// origin is what an error says of a URL: neither its user nor its query, which
// may hold secrets.
func origin(u *url.URL) string { return (&url.URL{Scheme: u.Scheme, Host: u.Host}).String() }
