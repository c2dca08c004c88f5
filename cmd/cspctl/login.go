package main

import (
	"flag"
	"strings"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/secret"
	"github.com/cspctl/cspctl/internal/term"
)

var loginCommand = command{
	name:    "login",
	args:    []arg{{name: "PROFILE", optional: true, kind: profileArg}},
	summary: "store an API token or another secret, and check it with its server",
	help: `
The secret is asked for without echo, or read from a file or stdin. It is never
an argument: other users could read it in the list of processes, and the shell
would keep it in its history.

Without PROFILE it is the default profile, else one named default. A profile
that exists keeps its settings where no flag says otherwise.

Providers:
  csp          an API token of VMware Cloud Services
  csp-app      an OAuth app of VMware Cloud Services: --client-id and its secret
  vcd          an API token of Cloud Director, rotating ones too: --server, --org
  vcd-session  a user of Cloud Director: --server, --org, --user`,
	examples: `cspctl login
cspctl login prod --default
pass show csp/ci | cspctl login ci --token-file -
cspctl login app --provider csp-app --client-id ID`,
	tooMany: "login takes one PROFILE, and no secret: an argument leaks through the list of processes and the shell's history",
	setup: func(fs *flag.FlagSet) runFunc {
		var o loginOptions
		choiceVar(fs, &o.req.Provider, "provider", "", "what kind of secret it is (csp for a new profile)", providers...)
		fs.StringVar(&o.req.Server, "server", "", "the server's `URL` (https://console.cloud.vmware.com for csp)")
		fs.StringVar(&o.req.Org, "org", "", "the `ORG`anization")
		fs.StringVar(&o.req.ClientID, "client-id", "", "the `ID` of the OAuth app or service account")
		fs.StringVar(&o.req.User, "user", "", "the `USER`, for vcd-session")
		fileVar(fs, &o.tokenFile, "token-file", "read the secret from `FILE`, or from stdin (-)")
		choiceVar(fs, &o.req.Store, "store", "", "where the secret rests: memory forgets it when the agent ends", "keychain", "file", "memory")
		fileVar(fs, &o.caFile, "ca-file", "trust the certificates in `FILE` (PEM) for this server")
		fs.StringVar(&o.scope, "scope", "", "the scopes to ask for: a `LIST` with commas")
		fileVar(fs, &o.resourceScopeFile, "resource-scope-file", "the resource scope to ask for, from `FILE`")
		checkedVar(fs, &o.passcode, "passcode", "the one-time passcode `N`, where the organization asks for one", checkPasscode)
		fs.BoolVar(&o.req.Default, "default", false, "make it the default profile")
		fs.BoolVar(&o.req.Replace, "replace", false, "replace the secret even if the new one belongs to another organization")
		fs.BoolVar(&o.req.NoVerify, "no-verify", false, "store the secret without asking the server")
		return func(a *app, args []string) error { return runLogin(a, args, o) }
	},
}

var providers = []string{"csp", "csp-app", "vcd", "vcd-session"}

type loginOptions struct {
	req ipc.LoginRequest

	tokenFile, caFile, scope, resourceScopeFile, passcode string
}

func runLogin(a *app, args []string, o loginOptions) error {
	name, err := a.profile(args)
	if err != nil {
		return err
	}
	req := o.req
	req.Interactive = a.interactive()
	req.Passcode = secret.NewWire(o.passcode)
	req.Scope = strings.FieldsFunc(o.scope, func(r rune) bool { return r == ',' || r == ' ' })
	if req.CA, err = readSmall(o.caFile, "--ca-file"); err != nil {
		return err
	}
	if req.ResourceScope, err = readSmall(o.resourceScopeFile, "--resource-scope-file"); err != nil {
		return err
	}
	// Before the secret is asked for: without an agent, it would be typed in vain.
	c := a.ownAgent()
	old, err := profileBefore(c, name)
	if err != nil {
		return err
	}
	switch {
	case old != nil:
		name = old.Name
	case name == "":
		name = "default"
	case len(name) >= longName:
		return usage("this looks like a secret, not like the name of a profile",
			"a secret in an argument leaks: make a new one, and enter it when asked, or with --token-file")
	}
	what := secretName(req.Provider, old)
	if req.Secret, err = a.readSecret(o.tokenFile, "--token-file", what, what+" for profile "+name+": "); err != nil {
		return err
	}
	res, err := putProfile(a, c, name, req)
	if err != nil {
		return err
	}
	for _, w := range res.Warnings {
		a.warn(w, "")
	}
	replaced := ""
	if old != nil && !old.LoggedOut {
		replaced = what
	}
	a.note(loggedIn(res, replaced, a.now()))
	return nil
}

// putProfile stores the profile. If it belongs to another organization so far,
// a person decides.
func putProfile(a *app, c *ipc.Client, name string, req ipc.LoginRequest) (ipc.LoginResult, error) {
	var res ipc.LoginResult
	err := c.Call("PUT", profilePath(name), req, &res)
	if codeOf(err) != ipc.CodeOrgDiffers || req.Replace {
		return res, err
	}
	yes, ask := a.confirm(err.Error()+"; replace?", "--replace")
	switch {
	case codeOf(ask) == ipc.CodeBadRequest: // nobody to ask
		return res, failed(ipc.CodeOrgDiffers, err.Error(), "add --replace to log in all the same")
	case ask != nil:
		return res, ask
	case !yes:
		return res, failed(ipc.CodeOrgDiffers, "nothing was changed", "choose another profile: cspctl login NAME")
	}
	req.Replace = true
	err = c.Call("PUT", profilePath(name), req, &res)
	return res, err
}

// longName is the length from which a name may be a secret typed in the wrong
// place.
const longName = 40

// profileBefore returns the profile that a login is for, nil if there is none
// yet. An empty name means the default profile, or else the one of that name.
func profileBefore(c *ipc.Client, name string) (*ipc.Profile, error) {
	if len(name) >= longName {
		// It must not be sent anywhere, so all names come here.
		list, err := profiles(c)
		for i := range list {
			if list[i].Name == name {
				return &list[i], nil
			}
		}
		return nil, err
	}
	p, err := oneProfile(c, name)
	if codeOf(err) == ipc.CodeNoSuchProfile && name == "" {
		p, err = oneProfile(c, "default")
	}
	switch {
	case err == nil:
		return &p, nil
	case codeOf(err) == ipc.CodeNoSuchProfile:
		return nil, nil
	}
	return nil, err
}

// secretName says what to ask for.
func secretName(provider string, old *ipc.Profile) string {
	if provider == "" && old != nil {
		provider = old.Provider
	}
	return ipc.SecretKind(provider)
}

// loggedIn says whose secret it is and when it ends; and what it replaced, if
// it did.
func loggedIn(res ipc.LoginResult, replaced string, now time.Time) string {
	p := res.Profile
	s := "logged in to profile " + p.Name
	if replaced != "" {
		s = "replaced the " + replaced + " of profile " + p.Name
	}
	switch {
	case p.Username == "":
	case replaced != "":
		s += ", now of " + p.Username
	default:
		s += " as " + p.Username
	}
	if p.Org != "" {
		s += ", org " + p.Org
	}
	s += ", at " + p.Server
	switch e := p.APIToken; {
	case e == nil:
	case e.Never:
		s += "; the API token never expires"
	case e.ExpiresAt != nil:
		s += "; the API token expires " + term.Relative(*e.ExpiresAt, now) + " (" + e.ExpiresAt.UTC().Format("2006-01-02 15:04 UTC") + ")"
	}
	if !res.Verified {
		s += "; not checked with the server"
	}
	return s
}
