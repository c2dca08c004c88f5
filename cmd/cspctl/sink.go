package main

import (
	"flag"
	"path/filepath"
	"strings"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/term"
)

var sinkCommand = command{
	name:    "sink",
	summary: "files that the agent keeps filled with a good access token",
	help: `
A shell reads the token from the file and starts no program for it. The agent
replaces the file as a whole when it has a new token, and removes it before the
token in it ends, at cspctl lock and logout, and when the agent stops.`,
	below: []*command{&sinkAdd, &sinkList, &sinkRemove},
}

var sinkAdd = command{
	name:    "add",
	args:    []arg{{name: "PROFILE", optional: true, kind: profileArg}},
	summary: "keep a file filled with a profile's access token, and print its path",
	help: `
Without --file it is in the folder tokens beside the agent's socket, named after
the profile, and after the format if that is not raw. Elsewhere, the folder must
be in dirs of [sinks] in the settings or below one of those, belong to you, and
be writable for nobody else (on Windows that is not checked). A profile may have
several sinks; a file that is one already gets the new format and mode.
A file that stays counts as use: its profile is renewed while the agent runs.`,
	examples: `cspctl sink add prod
cspctl sink add prod --format header --file /srv/build/tokens/prod.header --mode 0640`,
	setup: func(fs *flag.FlagSet) runFunc {
		var req ipc.SinkRequest
		choiceVar(fs, &req.Format, "format", ipc.SinkRaw, "what is in the file", ipc.SinkRaw, ipc.SinkJSON, ipc.SinkHeader, ipc.SinkBearer)
		fileVar(fs, &req.File, "file", "keep the token in `FILE`")
		choiceVar(fs, &req.Mode, "mode", "0600", "the permissions of the file", "0600", "0400", "0640", "0440")
		return func(a *app, args []string) error { return runSinkAdd(a, req, args) }
	},
}

func runSinkAdd(a *app, req ipc.SinkRequest, args []string) error {
	var err error
	if req.Profile, err = a.profile(args); err != nil {
		return err
	}
	if req.File != "" {
		if req.File, err = filepath.Abs(req.File); err != nil {
			return usage("the working folder is unknown: "+reason(err), "give the file by its absolute path")
		}
	}
	var s ipc.Sink
	if err := a.agent().Call("PUT", "/v1/sinks", req, &s); err != nil {
		return err
	}
	switch {
	case s.Error != nil:
		a.warn("the file is not there yet: "+s.Error.Message, s.Error.Hint)
	case !s.Fresh:
		a.warn("the file is not there yet: the server has not answered", "cspctl sink list shows when it is")
	}
	return a.print(visible(s.File) + "\n")
}

var sinkList = command{
	name:    "list",
	summary: "list the sinks, and how it is with them",
	setup: func(fs *flag.FlagSet) runFunc {
		var output string
		outputVar(fs, &output, "table", "json")
		return func(a *app, _ []string) error {
			var r ipc.Sinks
			if err := a.agent().Call("GET", "/v1/sinks", nil, &r); err != nil {
				return err
			}
			if output == "json" {
				return a.printJSON(struct {
					Schema int        `json:"schema"`
					Sinks  []ipc.Sink `json:"sinks"`
				}{schema, append([]ipc.Sink{}, r.Sinks...)}) // [] rather than null
			}
			if len(r.Sinks) == 0 {
				a.note("there are no sinks")
				a.say("hint", "make one: cspctl sink add PROFILE")
				return nil
			}
			var t term.Table
			t.Row("PROFILE", "FORMAT", "MODE", "FILE", "STATE")
			for _, s := range r.Sinks {
				t.Row(s.Profile, s.Format, s.Mode, term.Clean(s.File), term.Clean(sinkState(s)))
			}
			return a.print(t.String())
		}
	},
}

func sinkState(s ipc.Sink) string {
	switch {
	case s.Error != nil:
		return s.Error.Message
	case s.Fresh:
		return "fresh"
	}
	return "no file yet"
}

var sinkRemove = command{
	name:    "remove",
	args:    []arg{{name: "PROFILE|FILE", kind: profileArg}},
	summary: "end all sinks of a profile, or the one of a file, and remove the files",
	help:    "A word with a slash in it is a file: ./prod for one in the working folder.",
	setup: func(*flag.FlagSet) runFunc {
		return func(a *app, args []string) error {
			query := "?profile="
			word := args[0]
			if strings.ContainsRune(word, '/') || strings.ContainsRune(word, filepath.Separator) {
				path, err := filepath.Abs(word)
				if err != nil {
					return usage("the working folder is unknown: "+reason(err), "give the file by its absolute path")
				}
				query, word = "?file=", path
			} else if err := ipc.CheckName(word); err != nil {
				return err
			}
			return a.agent().Call("DELETE", "/v1/sinks"+query+ipc.QueryEscape(word), nil, nil)
		}
	},
}
