package main

import (
	"flag"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
)

var versionCommand = command{
	name:    "version",
	summary: "print the versions of cspctl and of the agent that runs",
	help:    "No agent is started for it.",
	setup: func(fs *flag.FlagSet) runFunc {
		var output string
		outputVar(fs, &output, "text", "json")
		return func(a *app, _ []string) error { return runVersion(a, output) }
	},
}

func runVersion(a *app, output string) error {
	v := struct {
		Schema   int    `json:"schema"`
		Version  string `json:"version"`
		Commit   string `json:"commit,omitempty"`
		Go       string `json:"go"`
		Platform string `json:"platform"`
		Agent    string `json:"agent,omitempty"` // "" if none answers
	}{Schema: schema, Version: ipc.Version, Commit: commit(), Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	// Whatever it answers, each reply names its version.
	if reply, err := a.runningAgent().Do(ipc.Request{Method: "GET", Path: "/v1/status", Timeout: time.Second}); err == nil {
		v.Agent = reply.Header(ipc.HeaderVersion)
	}
	if output == "json" {
		return a.printJSON(v)
	}
	text := "cspctl " + v.Version + " ("
	if v.Commit != "" {
		text += "commit " + v.Commit + ", "
	}
	text += v.Go + ", " + v.Platform + ")\n"
	if v.Agent != "" {
		text += "agent  " + v.Agent + "\n"
	}
	return a.print(text)
}

// commit returns the commit that the binary was built from, if it is known.
func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	rev, dirty := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			rev = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "-dirty"
		}
	}
	if rev == "" {
		return ""
	}
	return rev + dirty
}
