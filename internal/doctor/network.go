package doctor

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/upstream"
)

// defaultServer is where cspctl login goes unless it is told otherwise.
const defaultServer = "https://console.cloud.vmware.com"

// callTime bounds one question to a server.
const callTime = 6 * time.Second

// maxServers bounds how many servers are asked.
const maxServers = 32

// question is the anonymous request that tells whether a server is one of its
// kind. It has no secret, no token and no name in it.
type question struct {
	system *upstream.System
	path   string
	accept string
	is     func(upstream.Reply) bool
}

var (
	cloudServices = question{&upstream.System{Name: "Cloud Services", Secret: "API token", RequestID: "X-Request-Id"},
		"/csp/gateway/am/api/auth/token-public-key", "application/json",
		func(r upstream.Reply) bool { return r.Form() == upstream.JSON }}
	cloudDirector = question{&upstream.System{Name: "Cloud Director", Secret: "API token", RequestID: "X-VMWARE-VCLOUD-REQUEST-ID", XML: true},
		"/api/versions", "*/*",
		func(r upstream.Reply) bool { return strings.Contains(string(r.Body), "SupportedVersions") }}
)

func questionFor(p string) question {
	if p == provider.VCD || p == provider.VCDSession {
		return cloudDirector
	}
	return cloudServices
}

// answer is what a server said.
type answer struct {
	server   string
	profiles []string        // that use it
	bad      *provider.Error // nil: it is what it should be
	took     time.Duration   // from the first packet to the last
	skew     time.Duration   // of its clock against ours; positive: it is ahead
	dated    bool            // skew is known
}

// askServers asks each server once, for each CA that a profile has for it.
func (e *exam) askServers(ctx context.Context) []answer {
	type target struct {
		answer
		ca []byte
		q  question
	}
	var list []*target
	add := func(server, kind, name string, ca []byte) {
		if server == "" {
			return
		}
		for _, t := range list {
			if t.server == server && string(t.ca) == string(ca) && t.q.path == questionFor(kind).path {
				t.profiles = append(t.profiles, name)
				return
			}
		}
		list = append(list, &target{answer: answer{server: server, profiles: []string{name}}, ca: ca, q: questionFor(kind)})
	}
	for _, p := range e.profiles() {
		if !p.loggedOut {
			add(p.server, p.provider, p.name, p.ca)
		}
	}
	if len(list) == 0 {
		list = []*target{{answer: answer{server: defaultServer}, q: cloudServices}}
	}
	list = list[:min(len(list), maxServers)]
	set, _ := e.config()
	up := upstream.New(upstream.Options{UserAgent: "cspctl/" + ipc.Version, Proxy: set.Proxy(), ExtraCA: set.CA(), CallTimeout: callTime, HeaderTimeout: callTime})
	defer up.CloseIdle()
	var wg sync.WaitGroup
	for _, t := range list {
		wg.Go(func() { t.ask(ctx, up, t.q, t.ca) })
	}
	wg.Wait()
	answers := make([]answer, len(list))
	for i, t := range list {
		answers[i] = t.answer
	}
	return answers
}

func (a *answer) ask(ctx context.Context, up *upstream.Client, q question, ca []byte) {
	cred := provider.Credential{Binding: provider.Binding{Origin: a.server}, CA: ca}
	begun := time.Now().Round(0) // by the wall clock, which the server's is compared with
	r, err := up.Do(ctx, cred, upstream.Call{System: q.system, Method: http.MethodGet, Path: q.path, Accept: q.accept,
		Clean: upstream.NewCleaner(upstream.RemainSize)})
	ended := time.Now().Round(0)
	a.took = ended.Sub(begun)
	if at := r.ServerTime(); !at.IsZero() {
		// The header leaves out parts of a second; the answer was made somewhere
		// between the two moments.
		a.skew, a.dated = at.Add(time.Second/2).Sub(begun.Add(a.took/2)), true
	}
	if err != nil {
		a.bad, _ = errors.AsType[*provider.Error](err)
		if a.bad == nil {
			a.bad = &provider.Error{Message: because(err), Err: err}
		}
		return
	}
	switch {
	case !r.Success():
		a.bad = r.Failure(upstream.Said{})
	case r.Form() == upstream.HTML:
		a.bad = r.WebPage()
	case !q.is(r):
		a.bad = r.Wrong("does not look like " + q.system.Name)
	}
}

// servers tells whether each server is reached, and is what it should be.
func servers(_ context.Context, e *exam) (found []Finding) {
	for _, a := range e.answers() {
		u, err := url.Parse(a.server)
		subject := a.server
		if err == nil {
			subject = u.Host
		}
		if a.bad == nil {
			found = append(found, ok("answers, in "+a.took.Round(time.Millisecond).String()).subject(subject))
			continue
		}
		f := fail(a.bad.Message, cmp.Or(e.serverFix(a), a.bad.Hint, "check the server's address, and the network")).subject(subject)
		if f.Summary = strings.TrimPrefix(f.Summary, subject+" "); len(a.profiles) > 0 {
			f.Detail = "used by " + strings.Join(a.profiles, ", ")
		}
		found = append(found, f)
	}
	return found
}

// serverFix is what mends what is wrong, where that is more than the hint of
// the client, which speaks to somebody who logs in. Empty: it is not.
func (e *exam) serverFix(a answer) string {
	login := "cspctl login"
	if len(a.profiles) > 0 {
		login += " " + a.profiles[0]
	}
	_, unknown := errors.AsType[x509.UnknownAuthorityError](a.bad)
	_, verify := errors.AsType[*tls.CertificateVerificationError](a.bad)
	dns, isDNS := errors.AsType[*net.DNSError](a.bad)
	switch {
	case unknown || verify && strings.Contains(a.bad.Message, "unknown authority"):
		return "if a proxy of your organization opens TLS, ca_file = \"/path/to/its-ca.pem\" in " + e.Files.Config + "; for this server alone: " + login + " --ca-file FILE"
	case isDNS && dns.IsNotFound && a.server == defaultServer:
		return "check the network, and whether a VPN or a proxy is needed: https_proxy in " + e.Files.Config
	case isDNS && dns.IsNotFound:
		return "check the network and the VPN; if the name is wrong: " + login + " --server URL"
	case a.bad.Class == provider.WrongServer:
		return "if the server is the wrong one: " + login + " --server URL"
	}
	return ""
}
