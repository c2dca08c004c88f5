// Package tools is the table of programs that cspctl exec and cspctl env know:
// what each of them takes from its environment. It is data; who makes the
// tokens and the local endpoint is elsewhere.
//
// The names are those of the programs' own sources and documentation, which
// each entry names.
package tools

import (
	"slices"
	"strings"

	"github.com/cspctl/cspctl/internal/ipc"
)

// authorize is the path of CSP's exchange of API tokens.
const authorize = "/csp/gateway/am/api/auth/api-tokens/authorize"

// How programs renew, in the words of the table.
const (
	never       = "never"
	onEach      = "at each command"
	ownExchange = "exchanges once"
)

func env(pairs ...string) []ipc.ToolVar {
	list := []ipc.ToolVar{}
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, ipc.ToolVar{Name: pairs[i], Value: pairs[i+1]})
	}
	return list
}

// Known returns the tools that are known without settings, by name.
func Known() []ipc.Tool {
	list := []ipc.Tool{
		// vmc/provider.go: API_TOKEN, CSP_URL (a whole URL).
		{Name: "terraform-vmc", Title: "Terraform provider vmc", Renews: ownExchange,
			Env: env("API_TOKEN", "{standin}", "CSP_URL", "{url}")},
		// nsxt/provider.go: the host is one with a path, and https is put before it.
		{Name: "terraform-nsxt", Title: "Terraform provider nsxt (on VMC)", Renews: ownExchange, TLS: true,
			Env: env("NSXT_VMC_TOKEN", "{standin}", "NSXT_VMC_AUTH_HOST", "{hostport}"+authorize)},
		// internal/authctx: VMW_CLOUD_API_TOKEN, VMW_CLOUD_ENDPOINT (a host), CA_FILE.
		{Name: "terraform-tmc", Title: "Terraform provider tanzu-mission-control", Renews: "on 401, for some resources", TLS: true,
			Env:  env("VMW_CLOUD_API_TOKEN", "{standin}", "VMW_CLOUD_ENDPOINT", "{hostport}", "CA_FILE", "{ca-file}"),
			Note: "CA_FILE is for all of its connections: leave ca_file out of the provider block"},
		// vra/provider.go: VRA_ACCESS_TOKEN goes before VRA_REFRESH_TOKEN.
		{Name: "terraform-vra", Title: "Terraform provider vra", Renews: never, Env: env("VRA_ACCESS_TOKEN", "{access}"),
			Note: "VRA_URL and VRA_REFRESH_TOKEN are yours to set and unset"},
		// vcd/provider.go: VCD_AUTH_TYPE, VCD_TOKEN.
		{Name: "terraform-vcd", Title: "Terraform provider vcd", Renews: never, Env: env("VCD_AUTH_TYPE", "token", "VCD_TOKEN", "{access}"),
			Note: "VCD_URL and VCD_ORG are yours to set"},
		// vcfa/provider.go: the same under another prefix.
		{Name: "terraform-vcfa", Title: "Terraform provider vcfa", Renews: never, Env: env("VCFA_AUTH_TYPE", "token", "VCFA_TOKEN", "{access}"),
			Note: "VCFA_URL and VCFA_ORG are yours to set"},
		// tanzu-cli, pkg/command/context.go: TANZU_API_TOKEN; the issuer is in the context.
		{Name: "tanzu", Title: "Tanzu CLI", Renews: "after half of the token's life", Env: env("TANZU_API_TOKEN", "{standin}", "CSP_URL", "{url}"),
			Note: "the issuer of its context must be $CSP_URL/csp/gateway/am/api: a context with another one is CSP's own"},
		// The host of the exchange is built in.
		{Name: "tmc", Title: "Tanzu Mission Control CLI", Env: env(),
			Reason: "the tmc CLI takes an API token alone, and no setting points its exchange elsewhere"},
		// mkpcli, internal/csp: CSP_API_TOKEN, CSP_HOST (a host).
		{Name: "mkpcli", Title: "VMware Marketplace CLI", Renews: onEach, TLS: true,
			Env: env("CSP_API_TOKEN", "{standin}", "CSP_HOST", "{hostport}")},
		// wavefront-sdk-go: an option of the sender, no environment.
		{Name: "wavefront", Title: "Wavefront SDK and proxy", Renews: "by a timer, before the end", Env: env("CSP_API_TOKEN", "{standin}", "CSP_BASE_URL", "{url}"),
			Note: "the address is an option of your own program: CSPBaseURL (SDK) or cspBaseUrl (proxy), from $CSP_BASE_URL"},
		// carbon-black-cloud-sdk-python: keys of a profile in credentials.cbc.
		{Name: "carbonblack", Title: "Carbon Black Cloud SDK", Renews: "on each 401", Env: env("CSP_API_TOKEN", "{standin}", "CSP_URL", "{url}"),
			Note: "give them to the SDK: csp_api_token=$CSP_API_TOKEN, csp_url_override=$CSP_URL"},
		// vmware-image-builder-action: CSP_API_TOKEN, CSP_API_URL (a whole URL).
		{Name: "vib", Title: "VMware Image Builder action", Renews: "every 10 minutes",
			Env: env("CSP_API_TOKEN", "{standin}", "CSP_API_URL", "{url}")},
		// pyVMC reads ./config.ini alone.
		{Name: "pyvmc", Title: "pyVMC", Renews: onEach, Env: env("CSP_API_TOKEN", "{standin}", "CSP_URL", "{url}"),
			Note: "write them into its config.ini for the run: refresh_Token=$CSP_API_TOKEN, strCSPProdURL=$CSP_URL"},
		// vdk-control-api-auth: a whole URL of the exchange. oauthlib, below it,
		// refuses http unless OAUTHLIB_INSECURE_TRANSPORT is set, loopback or not.
		{Name: "vdk", Title: "Versatile Data Kit", Renews: "before the end",
			Env:  env("VDK_API_TOKEN", "{standin}", "VDK_API_TOKEN_AUTHORIZATION_URL", "{url}"+authorize, "OAUTHLIB_INSECURE_TRANSPORT", "1"),
			Note: "what an earlier vdk login stored goes before them: vdk logout"},
		// lamw's module VMware.CSP reads $env:cspAuthToken.
		{Name: "powershell-csp", Title: "PowerShell module VMware.CSP and its kin", Renews: never, Env: env("cspAuthToken", "{access}")},
		// vcd-cli takes the token of a session as an option.
		{Name: "vcd-cli", Title: "vcd-cli", Renews: never, Env: env("VCD_TOKEN", "{access}"),
			Note: "in a shell that exec starts: vcd login HOST ORG USER --session-id \"$VCD_TOKEN\", which stores it in its profile until vcd logout"},
		// VCF CLI exchanges at the VCFA's own host.
		{Name: "vcf", Title: "VCF CLI", Env: env(),
			Reason: "the VCF CLI takes an API token alone, and exchanges it at the endpoint that it talks to"},
		// Connect-CIServer takes a session, Connect-Vmc no access token.
		{Name: "powercli", Title: "PowerCLI", Renews: never, Env: env("CSP_AUTH", "{access}"),
			Note: "for Connect-CIServer -SessionId \"Bearer $env:CSP_AUTH\"; Connect-Vmc takes an API token alone"},
		// A header, and the name that CSP's own documentation gives the variable.
		{Name: "curl", Title: "curl and scripts", Renews: never, Env: env("CSP_AUTH", "{access}"),
			Note: "as with cspctl token -o env; printf '%s' \"csp-auth-token: $CSP_AUTH\" | curl -H @- keeps it out of the process list"},
	}
	slices.SortFunc(list, func(a, b ipc.Tool) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// Change is what the settings say about a tool. The zero value changes nothing.
type Change struct {
	Title string
	Env   []ipc.ToolVar // nil: as it is
	TLS   *bool         // nil: as it is
}

// With returns a table in which each change goes before the entry of its name,
// or is a tool of its own.
func With(list []ipc.Tool, changes map[string]Change) []ipc.Tool {
	list = slices.Clone(list)
	for name, c := range changes {
		i := slices.IndexFunc(list, func(t ipc.Tool) bool { return t.Name == name })
		if i < 0 {
			list = append(list, ipc.Tool{Name: name, Title: name, Env: []ipc.ToolVar{}})
			i = len(list) - 1
		}
		t := &list[i]
		if c.Title != "" {
			t.Title = c.Title
		}
		if c.Env != nil {
			t.Env, t.Renews, t.Note, t.Reason = c.Env, "", "", "" // all were about what was set before
		}
		if c.TLS != nil {
			t.TLS = *c.TLS
		}
	}
	slices.SortFunc(list, func(a, b ipc.Tool) int { return strings.Compare(a.Name, b.Name) })
	return list
}
