package main

import (
	"errors"
	"flag"
	"io/fs"
	"strings"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/secret"
)

var execCommand = command{
	name:    "exec",
	args:    []arg{{name: "PROFILE", optional: true, kind: profileArg}},
	tail:    "CMD ...",
	summary: "run a program that has what it needs of a profile, and no API token",
	help: `
Programs that take an access token get one. Programs that exchange an API token
by themselves get a stand-in for it, and the address of an endpoint of this
machine that exchanges it: as often as they ask, for the life of CMD, and for
processes of the same user alone. The stand-in is worth nothing elsewhere and
nothing afterwards.

WHAT of --env NAME=WHAT is one of:
  access    an access token, which CMD can't renew
  standin   the stand-in for the API token
  url       the endpoint: http://127.0.0.1:PORT, or https
  hostport  the same as 127.0.0.1:PORT
  ca-file   a file with the CA of the endpoint, which is https then
Without --for and --env it is CSP_AUTH=access.

The exit code is CMD's own, 126 if it can't be run, 127 if it is not found, 128+N
if signal N ended it; before its start it is one of cspctl's own. If cspctl is
killed, CMD is told to end (Linux: SIGTERM), or ended (Windows).`,
	examples: `cspctl exec --for terraform-vmc -- terraform apply
cspctl exec prod --for terraform-nsxt -- tofu plan
cspctl exec --env API_TOKEN=standin --env CSP_URL=url -- ./report.sh
cspctl exec --for list`,
	setup: func(fs *flag.FlagSet) runFunc {
		var o execOptions
		fs.Var(toolName{&o.tool, true}, "for", "the `TOOL` that CMD is, or uses; list: print those that are known")
		fs.Var(&o.env, "env", "a `NAME=WHAT` to set in the environment; may be given more than once")
		checkedVar(fs, &o.lifetime, "lifetime", "the `DURATION` after which the stand-in ends in any case (default 24h)", checkDuration)
		outputVar(fs, &o.output, "text", "json")
		return func(a *app, args []string) error { return runExec(a, args, o, isSet(fs, "o")) }
	},
	end: endOfOther,
}

type execOptions struct {
	tool     string
	env      envList
	lifetime string
	output   string
}

// The exit codes of programs that could not be run, as POSIX has them for shells.
const (
	exitCantRun  = 126
	exitNotFound = 127
)

func runExec(a *app, args []string, o execOptions, outputSet bool) error {
	switch {
	case o.tool == toolList && len(a.tail) > 0:
		return usage("--for list prints the table, and runs nothing", "leave one of them out")
	case o.tool == toolList:
		return runToolList(a)
	case outputSet:
		return usage("-o goes with --for list alone", "leave it out")
	case len(a.tail) == 0 || a.tail[0] == "":
		return usage("exec needs a command behind --", "write: cspctl exec PROFILE --for TOOL -- CMD ...")
	}
	profile, err := a.profile(args)
	if err != nil {
		return err
	}
	exe, err := a.lookPath(a.tail[0]) // before anything is asked for
	if err != nil {
		return err
	}
	c := a.agent()
	p, err := a.planFor(c, o.tool, o.env.list)
	if err != nil {
		return err
	}
	if !p.needsRun() && o.lifetime != "" {
		return usage("--lifetime is that of a stand-in, and none is needed here", "leave it out")
	}
	given := map[string]string{}
	if p.needs[ipc.GiveAccess] {
		token, err := a.accessToken(c, ipc.TokenRequest{Profile: profile, MaxAge: ipc.AgeAtStart})
		if err != nil {
			return err
		}
		given[ipc.GiveAccess] = token
	}
	if !p.needsRun() {
		return a.replace(exe, p.environ(a.environ(), given))
	}
	return a.runWith(c, exe, p, given, ipc.RunRequest{Profile: profile, TLS: p.tls, Lifetime: o.lifetime})
}

// accessToken asks for a token for another program, and a person for a passcode
// where that is needed.
func (a *app) accessToken(c *ipc.Client, req ipc.TokenRequest) (string, error) {
	req.Interactive, req.Warnings = a.interactive(), a.warnings("")
	reply, err := c.Token(req)
	if codeOf(err) == ipc.CodePasscodeNeeded && req.Interactive {
		if req.Passcode, err = a.askPasscode(err); err == nil {
			reply, err = c.Token(req)
		}
		req.Passcode = secret.Wire{}
	}
	if err != nil {
		return "", err
	}
	if reply.Warning != "" && req.Warnings != ipc.WarningsOff {
		a.warn(reply.Warning, "")
	}
	if token := reply.Token.Reveal(); ipc.IsToken(token) {
		return token, nil
	}
	return "", failed(ipc.CodeInternal, "the agent answered with something that is not a token", "replace it: csp-agent restart")
}

// replace runs the command in the place of cspctl: nothing is left to be done
// after it.
func (a *app) replace(exe string, env []string) error {
	code, err := runInPlace(exe, a.tail, env)
	if err != nil {
		return a.cantRun(a.tail[0], err)
	}
	return ended(code)
}

// ended turns the exit code of a command into cspctl's own.
func ended(code int) error {
	if code == exitDone {
		return nil
	}
	return exitStatus(code)
}

// cantRun says why a program that is there could not be run. Where the program
// that its first line names is missing, shells count it as not found.
func (a *app) cantRun(name string, err error) error {
	a.fail(failed(ipc.CodeInternal, quote(name)+" can't be run: "+reason(err), ""))
	if errors.Is(err, fs.ErrNotExist) {
		return exitStatus(exitNotFound)
	}
	return exitStatus(exitCantRun)
}

// notFound is a program that is not there.
func (a *app) notFound(name string) error {
	where := " on PATH"
	if hasSlash(name) {
		where = ""
	}
	a.fail(failed(ipc.CodeInternal, "there is no program "+quote(name)+where, ""))
	return exitStatus(exitNotFound)
}

// plan is what a command needs: the variables, and what they are made of.
type plan struct {
	vars  []ipc.ToolVar
	needs map[string]bool // by ipc.Give...
	tls   bool
	tool  ipc.Tool      // the zero value without --for
	roots []ipc.ToolVar // the variables that name the CA file, as they are
}

func (p *plan) needsRun() bool {
	return p.tls || p.needs[ipc.GiveStandIn] || p.needs[ipc.GiveURL] || p.needs[ipc.GiveHostPort]
}

// planFor asks the agent for the tool, if one was named. What --env says goes
// before what the table says.
func (a *app) planFor(c *ipc.Client, tool string, env []ipc.ToolVar) (*plan, error) {
	p := &plan{needs: map[string]bool{}}
	if tool != "" {
		t, err := findTool(c, tool)
		if err != nil {
			return nil, err
		}
		p.tool, p.vars, p.tls = t, t.Env, t.TLS
	} else if len(env) == 0 {
		env = []ipc.ToolVar{{Name: "CSP_AUTH", Value: "{" + ipc.GiveAccess + "}"}}
	}
	p.vars = append(p.vars[:len(p.vars):len(p.vars)], env...)
	for i, v := range p.vars {
		if i < len(p.tool.Env) { // those of --env are checked already, and are the user's own
			if err := ipc.CheckToolVar(v.Name); err != nil {
				return nil, failed(ipc.CodeInternal, "the agent's table of tools: "+err.Message, err.Hint)
			}
		}
		needs, err := v.Needs()
		if err != nil || strings.ContainsRune(v.Value, 0) {
			return nil, failed(ipc.CodeInternal, "the agent's table of tools says nothing of use about "+quote(tool), "replace the agent: csp-agent restart")
		}
		for _, n := range needs {
			p.needs[n] = true
		}
	}
	p.tls = p.tls || p.needs[ipc.GiveCAFile]
	return p, nil
}
