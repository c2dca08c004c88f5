package main

import (
	"flag"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/cspctl/cspctl/internal/ipc"
)

var envShells = []string{"bash", "zsh", "sh", "fish", "powershell"}

var envCommand = command{
	name:    "env",
	args:    []arg{{name: "PROFILE", optional: true, kind: profileArg}},
	summary: "print what a program takes from its environment, for a shell",
	help: `
It is for programs that take an access token, which they can't renew. Others need
a stand-in that lives as long as they do: see cspctl exec.`,
	examples: `eval "$(cspctl env --for terraform-vcd)"
cspctl env prod --for terraform-vra --shell fish | source
cspctl env --for powershell-csp --shell powershell | Out-String | Invoke-Expression`,
	setup: func(fs *flag.FlagSet) runFunc {
		var tool, shell string
		fs.Var(toolName{&tool, false}, "for", "the `TOOL`, as cspctl exec --for list names it")
		choiceVar(fs, &shell, "shell", "", "whose language it is (default that of $SHELL)", envShells...)
		return func(a *app, args []string) error { return runEnv(a, args, tool, shell) }
	},
}

func runEnv(a *app, args []string, tool, shell string) error {
	if tool == "" {
		return usage("env needs --for TOOL", "see: cspctl exec --for list")
	}
	profile, err := a.profile(args)
	if err != nil {
		return err
	}
	c := a.agent()
	p, err := a.planFor(c, tool, nil)
	if err != nil {
		return err
	}
	if p.needsRun() {
		of := ""
		if profile != "" {
			of = profile + " "
		}
		return usage(tool+" exchanges an API token by itself, and needs a stand-in that lives as long as it does",
			"use: cspctl exec "+of+"--for "+tool+" -- CMD ...")
	}
	given := map[string]string{}
	if p.needs[ipc.GiveAccess] {
		if given[ipc.GiveAccess], err = a.accessToken(c, ipc.TokenRequest{Profile: profile, MaxAge: ipc.AgeAtStart}); err != nil {
			return err
		}
	}
	if shell == "" {
		shell = a.shell()
	}
	var b strings.Builder
	for _, v := range p.vars {
		b.WriteString(assignment(shell, v.Name, v.Expand(given)) + "\n")
	}
	return a.print(b.String())
}

// shell is the one that the user has.
func (a *app) shell() string {
	name := strings.TrimSuffix(filepath.Base(a.getenv("SHELL")), ".exe")
	for _, s := range envShells {
		if name == s {
			return s
		}
	}
	if name == "pwsh" || runtime.GOOS == "windows" && a.getenv("SHELL") == "" {
		return "powershell"
	}
	return "sh"
}

// assignment is a line that sets a variable for the programs that a shell starts.
func assignment(shell, name, value string) string {
	switch shell {
	case "fish":
		return "set -gx " + name + " '" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(value) + "'"
	case "powershell":
		// Of the quotation marks that it knows, each ends a text like the first one.
		return "$env:" + name + " = '" + strings.NewReplacer("'", "''", "\u2018", "\u2018\u2018", "\u2019", "\u2019\u2019",
			"\u201a", "\u201a\u201a", "\u201b", "\u201b\u201b").Replace(value) + "'"
	}
	return "export " + name + "='" + strings.ReplaceAll(value, "'", `'\''`) + "'"
}
