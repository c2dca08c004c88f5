package main

import (
	"flag"
	"strings"

	"github.com/cspctl/cspctl/internal/term"
)

var helpCommand = command{
	name:     "help",
	args:     []arg{{name: "COMMAND", optional: true, repeat: true, kind: commandArg}},
	summary:  "show what a command does, its flags and examples",
	examples: "cspctl help token\ncspctl help profile rename",
	setup:    func(*flag.FlagSet) runFunc { return runHelp },
}

func runHelp(a *app, args []string) error {
	if len(args) == 0 {
		return a.print(a.overview())
	}
	cmd, path, rest, err := find(a.commands, args)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return usage(path+" has no command below it", "see: cspctl help "+path)
	}
	return a.print(a.commandHelp(cmd, path))
}

const overviewEnd = `
PROFILE defaults to $CSPCTL_PROFILE, then to the default profile.

Exit codes: 0 done, 1 other failure, 2 wrong usage, 3 no such profile or not
logged in, 4 the server refuses the credential, 5 the server can't be reached
or is failing, 6 the agent can't be reached or is not ours, 7 --min-ttl can't
be met, 8 the store is locked or unavailable. cspctl expiry has its own, and
cspctl exec passes on those of its command.

For more on a command: cspctl help COMMAND
`

// overview returns the list of commands.
func (a *app) overview() string {
	return "cspctl gives out valid VMware Cloud Services access tokens, and keeps the API\n" +
		"token behind them to itself.\n\n" +
		"    cspctl login\n    curl -H \"csp-auth-token: $(cspctl token)\" URL\n\nCommands:\n" +
		commandList(a.commands) + overviewEnd
}

func commandList(table []*command) string {
	var t term.Table
	for _, c := range table {
		t.Row("  "+c.name, c.summary)
	}
	return t.String()
}

// commandHelp returns the help of one command.
func (a *app) commandHelp(cmd *command, path string) string {
	var b strings.Builder
	b.WriteString("cspctl " + path + ": " + cmd.summary + "\n\nUsage: " + usageLine(cmd, path) + "\n")
	if cmd.help != "" {
		b.WriteString("\n" + strings.Trim(cmd.help, "\n") + "\n")
	}
	if len(cmd.below) > 0 {
		b.WriteString("\nCommands:\n" + commandList(cmd.below))
	}
	if cmd.setup != nil {
		fs := newFlags(cmd)
		cmd.setup(fs)
		if list := flagList(fs); list != "" {
			b.WriteString("\nFlags:\n" + list)
		}
	}
	if cmd.examples != "" {
		b.WriteString("\nExamples:\n  " + strings.ReplaceAll(cmd.examples, "\n", "\n  ") + "\n")
	}
	return b.String()
}

// usageLine returns the command line of a command.
func usageLine(cmd *command, path string) string {
	s := "cspctl " + path
	if cmd.setup == nil {
		return s + " COMMAND"
	}
	for _, a := range cmd.args {
		w := a.name
		if a.repeat {
			w += "..."
		}
		if a.optional {
			w = "[" + w + "]"
		}
		s += " " + w
	}
	fs := newFlags(cmd)
	cmd.setup(fs)
	has := false
	fs.VisitAll(func(*flag.Flag) { has = true })
	if has {
		s += " [flags]"
	}
	if cmd.tail != "" {
		s += " -- " + cmd.tail
	}
	return s
}

// flagList returns one entry for each flag, its text below it.
func flagList(fs *flag.FlagSet) string {
	var b strings.Builder
	fs.VisitAll(func(f *flag.Flag) {
		value, about := flag.UnquoteUsage(f)
		if c, ok := f.Value.(choice); ok {
			value = strings.Join(c.from, "|")
			if f.DefValue != "" {
				about += " (default " + f.DefValue + ")"
			}
		}
		b.WriteString("  " + strings.TrimSpace(dashed(f.Name)+" "+value) + "\n")
		b.WriteString("        " + strings.ReplaceAll(about, "\n", "\n        ") + "\n")
	})
	return b.String()
}
