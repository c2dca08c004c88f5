package vcd

import (
	"context"
	"encoding/xml"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/upstream"
)

const (
	// oldest and newest are the major API versions that this package knows: 36
	// is Cloud Director 10.3, 39 is 10.6.
	oldest, newest = 30, 39
	// automation is the major version of VCF Automation, which counts 9.0.0, 9.1.0.
	automation = 9
	// maxServers bounds the versions that are remembered.
	maxServers = 100
)

// versions remembers which API version a server speaks.
type versions struct {
	mu sync.Mutex
	by map[string]string // by origin
}

func (v *versions) get(origin string) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.by[origin]
}

func (v *versions) set(origin, version string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.by == nil || len(v.by) >= maxServers {
		v.by = map[string]string{}
	}
	v.by[origin] = version
}

// versioned makes a call that must name an API version. A server that does not
// speak the remembered one any more (406, after an upgrade) is asked which it
// speaks, and the call is made once more.
func (s sessions) versioned(ctx context.Context, cred provider.Credential, call upstream.Call) (upstream.Reply, error) {
	known := s.versions.get(cred.Origin)
	if known != "" {
		r, err := s.withVersion(ctx, cred, call, known)
		if err != nil || r.Status != http.StatusNotAcceptable {
			return r, err
		}
	}
	version, err := s.negotiate(ctx, cred, call)
	if err != nil {
		return upstream.Reply{}, err
	}
	s.versions.set(cred.Origin, version)
	return s.withVersion(ctx, cred, call, version)
}

func (s sessions) withVersion(ctx context.Context, cred provider.Credential, call upstream.Call, version string) (upstream.Reply, error) {
	call.Accept = "application/json;version=" + version
	return s.up.Do(ctx, cred, call)
}

// negotiate asks for the versions of the API, which takes no credentials, and
// picks one.
func (s sessions) negotiate(ctx context.Context, cred provider.Credential, call upstream.Call) (string, error) {
	r, err := s.up.Do(ctx, cred, upstream.Call{System: call.System, Method: http.MethodGet, Path: "/api/versions", Accept: "*/*", Clean: call.Clean})
	if err != nil {
		return "", err
	}
	if !r.Success() {
		return "", r.Failure(said(r))
	}
	if r.Form() == upstream.HTML {
		return "", r.WebPage()
	}
	offered := parseVersions(r.Body)
	if len(offered) == 0 {
		return "", r.Wrong("does not look like Cloud Director: it names no versions of its API")
	}
	version := pickVersion(offered)
	if version == "" {
		e := r.Wrong("speaks no version of the Cloud Director API that this program knows (" + strconv.Itoa(newest) + ".x)")
		e.Hint = "a newer version of this program may know it"
		return "", e
	}
	return version, nil
}

// apiVersion is one VersionInfo of SupportedVersions.
type apiVersion struct {
	text       string
	number     [3]int
	deprecated bool
}

// parseVersions reads SupportedVersions. Versions that are no plain numbers,
// such as 39.0.0-alpha, are left out.
func parseVersions(body []byte) []apiVersion {
	var doc struct {
		XMLName  xml.Name
		Versions []struct {
			Version    string `xml:"Version"`
			Deprecated string `xml:"deprecated,attr"`
		} `xml:"VersionInfo"`
	}
	if lenientXML(body).Decode(&doc) != nil || doc.XMLName.Local != "SupportedVersions" {
		return nil
	}
	var list []apiVersion
	for _, info := range doc.Versions {
		v := apiVersion{text: strings.TrimSpace(info.Version), deprecated: strings.EqualFold(strings.TrimSpace(info.Deprecated), "true")}
		parts := strings.Split(v.text, ".")
		if len(parts) > len(v.number) {
			continue
		}
		ok := true
		for i, p := range parts {
			n, err := strconv.ParseUint(p, 10, 16)
			ok = ok && err == nil
			v.number[i] = int(n)
		}
		if ok {
			list = append(list, v)
		}
	}
	return list
}

// pickVersion returns the highest version that is known here: a current one of
// Cloud Director, else of VCF Automation, else a deprecated one. Empty: none is.
func pickVersion(offered []apiVersion) string {
	var best apiVersion
	for _, v := range offered {
		if v.rank() > 0 && (v.rank() > best.rank() || v.rank() == best.rank() && higher(v.number, best.number)) {
			best = v
		}
	}
	return best.text
}

// rank is how welcome a version is; 0 is not.
func (v apiVersion) rank() int {
	rank := 0
	switch major := v.number[0]; {
	case major >= oldest && major <= newest:
		rank = 2
	case major == automation:
		rank = 1
	}
	if rank > 0 && !v.deprecated {
		rank += 2
	}
	return rank
}

func higher(a, b [3]int) bool {
	for i := range a {
		if a[i] != b[i] {
			return a[i] > b[i]
		}
	}
	return false
}
