package provider

import "strings"

// TokenPage returns the page on which people make a new secret of a provider,
// at a server and for an organization; empty if the origin is no URL of the
// web. Its text after # is a matter of the page alone.
//
// For Cloud Services it is the page of API tokens in the console, as the tmc
// CLI and mkpcli name it. For Cloud Director it is the portal of the tenant or
// provider, which has API tokens in the preferences of the user.
func TokenPage(name, origin, org string) string {
	if !strings.HasPrefix(origin, "https://") && !strings.HasPrefix(origin, "http://") {
		return ""
	}
	switch name {
	case CSP:
		return origin + "/csp/gateway/portal/#/user/tokens"
	case CSPApp:
		return origin + "/csp/gateway/portal/" // the page of OAuth apps has no published address
	case VCD, VCDSession:
		if org == "" || strings.EqualFold(org, "System") {
			return origin + "/provider"
		}
		return origin + "/tenant/" + Escape(org)
	}
	return ""
}

// Escape escapes what may not stand in a segment of a path or in a value of a
// query (RFC 3986). Package net/url is not for what cspctl links.
func Escape(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteString("%" + string(hex[c>>4]) + string(hex[c&15]))
	}
	return b.String()
}
