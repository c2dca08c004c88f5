package main

import (
	"flag"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/secret"
)

var tokenCommand = command{
	name:    "token",
	args:    []arg{{name: "PROFILE", optional: true, kind: profileArg}},
	summary: "print a valid access token",
	help: `
The token has at least five minutes of life left, or a third of its whole life
where that is less. With --min-ttl it has at least that, or the command fails.
On failure nothing is printed on stdout.

The forms of the output:
  raw              the token alone
  json             the token, whose it is and when it expires
  header           csp-auth-token: TOKEN, for curl -H @- (csp providers)
  bearer           Authorization: Bearer TOKEN
  env              export CSP_AUTH='TOKEN', for eval in a shell
  exec-credential  for the exec plugin of kubectl and client-go`,
	examples: `CSP_AUTH=$(cspctl token) && export CSP_AUTH
cspctl token prod -o header | curl -H @- https://vmc.vmware.com/vmc/api/orgs
eval "$(cspctl token -o env --var TOKEN)"
cspctl token --min-ttl 20m -o json`,
	setup: func(fs *flag.FlagSet) runFunc {
		var o tokenOptions
		checkedVar(fs, &o.minTTL, "min-ttl", "the `DURATION` that the token must live on: 90s, 20m", checkDuration)
		fs.BoolVar(&o.fresh, "fresh", false, "exchange a new token, whatever is cached")
		choiceVar(fs, &o.kind, "kind", ipc.KindAccess, "which token; proxy: the password of Cloud Director's proxies", ipc.KindAccess, ipc.KindID, ipc.KindProxy)
		checkedVar(fs, &o.passcode, "passcode", "the one-time passcode `N`, where the organization asks for one", checkPasscode)
		choiceVar(fs, &o.warnings, "warnings", "", "when to warn of an API token that expires soon: auto means once a\nday, on a terminal (default $CSPCTL_WARNINGS, else auto)", warningModes...)
		outputVar(fs, &o.output, tokenForms...)
		checkedVar(fs, &o.variable, "var", "the `NAME` of the variable, with -o env, which it implies", checkVariable)
		return func(a *app, args []string) error { return runToken(a, args, o, isSet(fs, "o")) }
	},
}

var (
	tokenForms   = []string{"raw", "json", "header", "bearer", "env", "exec-credential"}
	warningModes = []string{ipc.WarningsAuto, ipc.WarningsAlways, ipc.WarningsOff}
)

type tokenOptions struct {
	minTTL, kind, passcode, warnings, output, variable string

	fresh bool
}

// isSet reports whether a flag was given.
func isSet(fs *flag.FlagSet, name string) bool {
	set := false
	fs.Visit(func(f *flag.Flag) { set = set || f.Name == name })
	return set
}

func runToken(a *app, args []string, o tokenOptions, outputSet bool) error {
	if o.variable != "" {
		if outputSet && o.output != "env" {
			return usage("--var goes with -o env alone, not with -o "+o.output, "leave one of them out")
		}
		o.output = "env"
	}
	profile, err := a.profile(args)
	if err != nil {
		return err
	}
	req := ipc.TokenRequest{
		Profile: profile, MinTTL: o.minTTL, Kind: o.kind, Fresh: o.fresh,
		Interactive: a.interactive(), Passcode: secret.NewWire(o.passcode),
	}
	if o.kind == ipc.KindProxy && (o.output == "header" || o.output == "bearer" || o.output == "exec-credential") {
		return usage("a proxy token is a password, and no bearer token", "use -o raw or -o json")
	}
	var execVersion string
	if o.output == "exec-credential" {
		info, err := readExecInfo(a.getenv("KUBERNETES_EXEC_INFO"))
		if err != nil {
			return err
		}
		execVersion, req.Caller = info.version, info.caller
		req.Interactive = req.Interactive && info.interactive
	}
	req.Warnings = a.warnings(o.warnings) // before the wait: a bad setting is said in any case
	c := a.agent()
	out, warning, err := askToken(c, req, o, execVersion)
	if codeOf(err) == ipc.CodePasscodeNeeded && req.Passcode.IsZero() && req.Interactive {
		if req.Passcode, err = a.askPasscode(err); err == nil {
			out, warning, err = askToken(c, req, o, execVersion)
		}
	}
	if err != nil {
		return err
	}
	if warning != "" && req.Warnings != ipc.WarningsOff {
		a.warn(warning, "")
	}
	return a.print(out)
}

// askToken returns all of stdout, and the agent's warning.
func askToken(c *ipc.Client, req ipc.TokenRequest, o tokenOptions, execVersion string) (out, warning string, _ error) {
	if o.output == "json" {
		t, err := c.TokenDocument(req)
		if err != nil {
			return "", "", err
		}
		if w := t.Warning; w != nil {
			if !w.Silent {
				warning = w.Message
			}
			t.Warning = &ipc.Warning{Stage: w.Stage, Message: w.Message} // whoever is told of it elsewhere
		}
		out, err = tokenJSON(t)
		return out, warning, err
	}
	reply, err := c.Token(req)
	if err != nil {
		return "", "", err
	}
	out, err = formatToken(reply, o, execVersion)
	return out, reply.Warning, err
}

// warnings returns what to ask of the agent: it knows what was said already,
// and here it is known whether somebody looks on.
func (a *app) warnings(mode string) string {
	if mode == "" {
		mode = a.getenv("CSPCTL_WARNINGS")
	}
	switch mode {
	case ipc.WarningsAlways, ipc.WarningsOff:
		return mode
	case "", ipc.WarningsAuto:
	default: // a token is worth more than a setting
		a.warn("CSPCTL_WARNINGS is not auto, always or off", "")
	}
	if a.isTerminal(2) {
		return ipc.WarningsAuto
	}
	return ipc.WarningsOff
}

// checkVariable accepts what a POSIX shell takes for the name of a variable.
func checkVariable(s string) error {
	if err := ipc.CheckVariable(s); err != nil { // a nil *ipc.Error is no nil error
		return err
	}
	return nil
}
