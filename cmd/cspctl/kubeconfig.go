package main

import (
	"flag"
	"os"

	"github.com/cspctl/cspctl/internal/ipc"
)

var kubeconfigCommand = command{
	name:    "kubeconfig",
	args:    []arg{{name: "PROFILE", optional: true, kind: profileArg}},
	summary: "have kubectl log in with access tokens",
	help: `
It writes a user entry into your kubeconfig that runs cspctl for a credential,
and has a context use it. The context must be there; every other entry, comments,
order, mode and owner of the file stay (blank lines and indentation may not). With
several files in KUBECONFIG it is the first that has the context.

kubectl asks again when its token expires, and once more after a 401: it then gets
one that is less than a minute old.`,
	examples: "cspctl kubeconfig prod --context prod-cluster",
	setup: func(fs *flag.FlagSet) runFunc {
		var context, user, file string
		fs.StringVar(&context, "context", "", "the `NAME` of the context that logs in with the profile; needed")
		fs.StringVar(&user, "user", "", "the `NAME` of the user entry (default csp-PROFILE)")
		fs.StringVar(&file, "kubeconfig", "", "the `FILE` (default: those of KUBECONFIG, else ~/.kube/config)")
		replace := fs.Bool("replace", false, "also where the user entry logs in otherwise")
		return func(a *app, args []string) error {
			if context == "" {
				return usage("--context is missing", "name the one that is to log in: kubectl config get-contexts")
			}
			return runKubeconfig(a, args, append(flagsOf(map[string]string{"context": context, "user": user, "kubeconfig": file}), boolFlag("replace", *replace)...))
		}
	},
	end: endOfOther,
}

// flagsOf are arguments for another program, of those that were given.
func flagsOf(values map[string]string) (args []string) {
	for name, value := range values {
		if value != "" {
			args = append(args, "--"+name+"="+value)
		}
	}
	return args
}

func boolFlag(name string, on bool) []string {
	if on {
		return []string{"--" + name}
	}
	return nil
}

// runKubeconfig has csp-agent do it, which reads YAML.
func runKubeconfig(a *app, args, flags []string) error {
	name, err := a.listedProfile(a.agent(), args)
	if err != nil {
		return err
	}
	all := append([]string{"kubeconfig", "--profile=" + name}, flags...)
	if exe, err := os.Executable(); err == nil {
		all = append(all, "--cspctl="+exe)
	}
	return a.handOver(ipc.FindAgent(a.getenv), all)
}
