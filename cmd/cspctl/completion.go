package main

import (
	_ "embed"
	"flag"
)

// The scripts ask cspctl __complete for every word: see [app.complete].
var (
	//go:embed scripts/cspctl.bash
	bashScript string
	//go:embed scripts/cspctl.zsh
	zshScript string
	//go:embed scripts/cspctl.fish
	fishScript string
	//go:embed scripts/cspctl.ps1
	powershellScript string
)

var completionCommand = command{
	name:    "completion",
	args:    []arg{{name: "SHELL", kind: choiceArg, choices: shells}},
	summary: "print the completion script for bash, zsh, fish or powershell",
	help:    "Names of profiles are completed if an agent runs; none is started for it.",
	examples: `source <(cspctl completion bash)
cspctl completion zsh > "${fpath[1]}/_cspctl"
cspctl completion fish > ~/.config/fish/completions/cspctl.fish
cspctl completion powershell | Out-String | Invoke-Expression`,
	setup: func(*flag.FlagSet) runFunc { return runCompletion },
}

var shells = []string{"bash", "zsh", "fish", "powershell"}

func runCompletion(a *app, args []string) error {
	switch args[0] {
	case "bash":
		return a.print(bashScript)
	case "zsh":
		return a.print(zshScript)
	case "fish":
		return a.print(fishScript)
	case "powershell":
		return a.print(powershellScript)
	}
	hint := "the shells are bash, zsh, fish and powershell"
	if near := closest(args[0], shells); near != "" {
		hint = "did you mean: cspctl completion " + near
	}
	return usage("no completion for the shell "+quote(args[0]), hint)
}
