package api

import (
	"net/url"
	"strings"

	"github.com/cspctl/cspctl/internal/ipc"
)

// cspHosts take the token as csp-auth-token: the consoles themselves, VMware
// Cloud on AWS, HCX, Aria Operations for Networks (on the API
// host that other services of Aria share, which take it as Bearer), the Cloud
// Sizer and Tanzu Service Mesh.
var cspHosts = []string{
	"vmc.vmware.com", "vmc.broadcom.com",
	"console.cloud.vmware.com", "console-stg.cloud.vmware.com", "console.cloud-us-gov.vmware.com",
	"console.tanzu.broadcom.com", "console-stg.tanzu.broadcom.com", "console.cloud.broadcom.com",
	"saas.csp.vmware.com", "stg.csp.vmware.com",
	"*.hcx.vmware.com", "vmcsizer.vmware.com",
	"api.mgmt.cloud.vmware.com/ni/", "*.api.mgmt.cloud.vmware.com/ni/",
	"*.nsxservicemesh.vmware.com",
}

// hosts answers where the token of a profile may be taken: decided here, and not
// by whoever asks, since the settings are the agent's to read.
func hosts(s *Server, c *call) (any, error) {
	p, err := s.profileFor(c, c.URL.Query().Get("profile"))
	if err != nil {
		return nil, err
	}
	var more []string
	if s.Hosts != nil {
		more = s.Hosts()
	}
	return hostsOf(p, more), nil
}

func hostsOf(p ipc.Profile, more []string) ipc.Hosts {
	h := ipc.Hosts{Profile: p.Name, Provider: p.Provider, Origin: p.Server, Hosts: []string{}}
	csp := ipc.IsCloudServices(p.Provider)
	if u, err := url.Parse(p.Server); err == nil && u.Host != "" {
		own := strings.ToLower(u.Host)
		h.Hosts = append(h.Hosts, own)
		if csp {
			h.CSP = append(h.CSP, own)
		}
		name := strings.ToLower(u.Hostname())
		if csp && (strings.HasSuffix(name, ".vmware.com") || strings.HasSuffix(name, ".broadcom.com")) {
			h.Hosts = append(h.Hosts, "*.vmware.com", "*.broadcom.com")
		}
	}
	if csp {
		h.CSP = append(h.CSP, cspHosts...)
	}
	h.Hosts = append(h.Hosts, more...)
	return h
}
