package doctor

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/cspctl/cspctl/internal/config"
)

// proxy tells through what the servers are reached, and whether the agent, as a
// service, knows what this shell knows (T12).
func proxy(ctx context.Context, e *exam) []Finding {
	set, _ := e.config()
	var found []Finding
	if bad := e.deafService(ctx, set); bad != nil {
		found = append(found, bad...)
	}
	used := e.proxyFor(set)
	switch {
	case set.HTTPSProxy != "":
		return orFine(found, ok("https_proxy of the settings: "+hostOf(set.HTTPSProxy)))
	case used != "":
		return orFine(found, ok("of the environment: "+used))
	}
	return orFine(found, ok("none: the servers are reached directly"))
}

// proxyFor is the proxy of the first server, by its host.
func (e *exam) proxyFor(set config.Settings) string {
	server := defaultServer
	for _, p := range e.profiles() {
		if !p.loggedOut && strings.HasPrefix(p.server, "https:") {
			server = p.server
			break
		}
	}
	u, err := url.Parse(server)
	if err != nil {
		return ""
	}
	via, err := set.Proxy()(&http.Request{URL: u})
	if err != nil || via == nil {
		return ""
	}
	return via.Host
}

// deafService compares this shell's environment with that of the service
// manager. The agent's own can't be read: its process is closed.
func (e *exam) deafService(ctx context.Context, set config.Settings) (found []Finding) {
	service := e.ofService() || e.reply().status == nil && e.units().installed()
	if !service || e.System {
		return nil
	}
	there := sync.OnceValues(func() (names map[string]bool, known bool) {
		names = map[string]bool{}
		vars := e.Services.Variables(ctx)
		for _, v := range vars {
			if name, value, ok := strings.Cut(v, "="); ok && value != "" {
				names[strings.ToUpper(name)] = true
			}
		}
		return names, vars != nil
	})
	shell := func(name string) string { return cmp.Or(e.Getenv(name), e.Getenv(strings.ToLower(name))) }
	missing := func(name string) bool {
		if shell(name) == "" {
			return false
		}
		names, known := there()
		return known && !names[name]
	}
	file := e.Files.Config
	if set.HTTPSProxy == "" && missing("HTTPS_PROXY") {
		found = append(found, warn("HTTPS_PROXY is set in this shell ("+hostOf(shell("HTTPS_PROXY"))+"), and the agent is a service, which does not see it",
			`https_proxy = "http://HOST:PORT" in `+file+", and then: "+e.restart()))
	}
	if len(set.CA()) == 0 && missing("SSL_CERT_FILE") {
		found = append(found, warn("SSL_CERT_FILE is set in this shell, and the agent is a service, which does not see it",
			`ca_file = "`+shell("SSL_CERT_FILE")+`" in `+file+", and then: "+e.restart()))
	}
	return found
}

// hostOf is what of a proxy's URL may be shown: it may hold a password.
func hostOf(s string) string {
	if !strings.Contains(s, "://") {
		s = "http://" + s
	}
	if u, err := url.Parse(s); err == nil && u.Host != "" {
		return u.Host
	}
	return "not a URL"
}
