package upstream

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// ParseServer turns what a person types for a server into its origin:
// scheme://host[:port], lower case, without a trailing slash. The scheme
// defaults to https; http is accepted for loopback hosts only, since a
// secret travels in the request.
func ParseServer(s string) (origin string, err error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return "", errors.New("the server is empty: write a host, like console.cloud.vmware.com")
	}
	if !strings.Contains(s, "://") {
		s = "https://" + s
	}
	// What was typed is not repeated in errors: it may be a secret in the wrong place.
	u, err := url.Parse(s)
	if err != nil {
		return "", errors.New("the server is no URL: write a host, like console.cloud.vmware.com")
	}
	host, err := parseHost(u.Hostname())
	if err != nil {
		return "", err
	}
	scheme := strings.ToLower(u.Scheme)
	origin = scheme + "://" + host
	if port := u.Port(); port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return "", errors.New("the server's port must be a number from 1 to 65535")
		}
		if scheme == "https" && n != 443 || scheme == "http" && n != 80 {
			origin += ":" + strconv.FormatUint(n, 10)
		}
	} else if strings.HasSuffix(u.Host, ":") {
		return "", fmt.Errorf("the server has a colon without a port: write %s", origin)
	}
	switch {
	case scheme != "https" && scheme != "http":
		return "", errors.New("the server must be an https URL")
	case u.User != nil:
		return "", fmt.Errorf("the server must not hold a user or password: write %s", origin)
	case strings.Trim(u.Path, "/") != "":
		return "", fmt.Errorf("the server must have no path: write %s", origin)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(s, "#"):
		return "", fmt.Errorf("the server must have no query: write %s", origin)
	case scheme == "http" && !loopback(host):
		return "", fmt.Errorf("plain http would show the secret to the network: write https://%s", strings.TrimPrefix(origin, "http://"))
	}
	return origin, nil
}

var hostName = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$`)

// parseHost returns a host as it stands in an origin: IPv6 in brackets.
func parseHost(host string) (string, error) {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if ip, err := netip.ParseAddr(host); err == nil && ip.Zone() == "" {
		if ip.Is6() {
			return "[" + ip.String() + "]", nil
		}
		return ip.String(), nil
	}
	switch {
	case host == "":
		return "", errors.New("the server has no host: write one, like console.cloud.vmware.com")
	case len(host) > 253 || !hostName.MatchString(host):
		return "", errors.New("the server's host has a character that host names can't have (write international names in their xn-- form)")
	}
	return host, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
