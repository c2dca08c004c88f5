package main

import (
	"encoding/json"
	"flag"
	"strings"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/term"
)

// completeFile is what the scripts take for "complete a path here".
const completeFile = ":file"

// candidate is a word that fits at the cursor.
type candidate struct{ word, about string }

// complete answers the shells' completion scripts: the words after cspctl up
// to the cursor, the last one, which may be empty, behind a "=" so that no
// shell drops it. It prints one candidate a line, its description behind a tab,
// or [completeFile]. It never fails and never starts an agent.
func (a *app) complete(words []string) error {
	last := len(words) - 1
	if last < 0 || !strings.HasPrefix(words[last], "=") {
		return nil
	}
	current := words[last][1:]
	words = withoutEquals(words[:last])
	if current == "=" {
		current = ""
	}
	found, prefix, current := a.candidates(words, current)
	var b strings.Builder
	for _, c := range found {
		if c.word == completeFile {
			b.WriteString(completeFile + "\n")
		} else if strings.HasPrefix(c.word, current) {
			about, _, _ := strings.Cut(c.about, "\n")
			b.WriteString(strings.TrimSuffix(prefix+c.word+"\t"+about, "\t") + "\n")
		}
	}
	_ = a.print(b.String())
	return nil
}

// withoutEquals undoes what bash does to --flag=value, which it passes as
// three words.
func withoutEquals(words []string) []string {
	var out []string
	for _, w := range words {
		if w != "=" {
			out = append(out, w)
		}
	}
	return out
}

// candidates returns what fits at the cursor after words, where current was
// typed of the last one so far. In --flag=value, only the value is completed:
// the rest is returned as prefix.
func (a *app) candidates(words []string, current string) (found []candidate, prefix, rest string) {
	at := a.locate(words)
	switch name, value, has := strings.Cut(current, "="); {
	case at.lost:
		return nil, "", current
	case at.table != nil && strings.HasPrefix(current, "-"):
		return []candidate{{"--help", "show help"}}, "", current
	case at.table != nil:
		return commandNames(at.table), "", current
	case at.flagsOver && at.cmd.tail != "":
		return []candidate{{completeFile, ""}}, "", current
	case at.pending != nil:
		return a.valuesOf(at.pending), "", current
	case !at.flagsOver && has && strings.HasPrefix(name, "-"):
		f := at.flags.Lookup(strings.TrimLeft(name, "-"))
		if f == nil {
			return nil, "", current
		}
		return a.valuesOf(f), name + "=", value
	case !at.flagsOver && strings.HasPrefix(current, "-"):
		return flagNames(at.flags), "", current
	}
	return a.argValues(at), "", current
}

// cursor is where the words before it have led.
type cursor struct {
	lost      bool       // there is no such command
	table     []*command // the next word names one of these; nil once a command is named
	cmd       *command
	flags     *flag.FlagSet
	words     []string   // the command's arguments so far
	pending   *flag.Flag // the next word is its value
	flagsOver bool       // after --
}

func (a *app) locate(words []string) cursor {
	if len(words) == 0 {
		return cursor{table: a.commands}
	}
	cmd, _, rest, err := find(a.commands, words)
	switch {
	case err != nil:
		return cursor{lost: true}
	case cmd.setup == nil:
		return cursor{table: cmd.below}
	}
	at := cursor{cmd: cmd, flags: newFlags(cmd)}
	cmd.setup(at.flags)
	for _, w := range rest {
		switch {
		case at.pending != nil:
			at.pending = nil
		case at.flagsOver || len(w) < 2 || w[0] != '-':
			at.words = append(at.words, w)
		case w == "--":
			at.flagsOver = true
		case !strings.Contains(w, "="):
			if f := at.flags.Lookup(strings.TrimLeft(w, "-")); f != nil && !isBool(f) {
				at.pending = f
			}
		}
	}
	return at
}

func isBool(f *flag.Flag) bool {
	b, ok := f.Value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}

func commandNames(table []*command) []candidate {
	var out []candidate
	for _, c := range table {
		out = append(out, candidate{c.name, c.summary})
	}
	return out
}

func flagNames(fs *flag.FlagSet) []candidate {
	var out []candidate
	fs.VisitAll(func(f *flag.Flag) {
		_, about := flag.UnquoteUsage(f)
		out = append(out, candidate{dashed(f.Name), about})
	})
	return append(out, candidate{"--help", "show help"})
}

func (a *app) valuesOf(f *flag.Flag) []candidate {
	switch v := f.Value.(type) {
	case toolName:
		return a.toolNames(v.list)
	case *envList:
		return v.candidates()
	case choice:
		return plainWords(v.from)
	case file:
		return []candidate{{completeFile, ""}}
	}
	return nil
}

func plainWords(words []string) []candidate {
	var out []candidate
	for _, w := range words {
		out = append(out, candidate{w, ""})
	}
	return out
}

// argValues returns what fits as the next argument.
func (a *app) argValues(at cursor) []candidate {
	args, n := at.cmd.args, len(at.words)
	if n >= len(args) {
		if len(args) == 0 || !args[len(args)-1].repeat {
			return nil
		}
		n = len(args) - 1
	}
	switch arg := args[n]; arg.kind {
	case profileArg:
		return a.profileNames()
	case choiceArg:
		return plainWords(arg.choices)
	case commandArg:
		if len(at.words) == 0 {
			return commandNames(a.commands)
		}
		if cmd, _, rest, err := find(a.commands, at.words); err == nil && len(rest) == 0 {
			return commandNames(cmd.below)
		}
	}
	return nil
}

// profileNames asks a running agent, and no longer than a person who pressed
// a key would wait.
func (a *app) profileNames() []candidate {
	var list ipc.Profiles
	a.askQuickly("/v1/profiles", &list)
	var out []candidate
	for _, p := range list.Profiles {
		if ipc.CheckName(p.Name) == nil { // a name is code to some shells
			out = append(out, candidate{p.Name, ""})
		}
	}
	return out
}

// toolNames is profileNames for --for.
func (a *app) toolNames(withList bool) []candidate {
	var list ipc.Tools
	a.askQuickly("/v1/tools", &list)
	var out []candidate
	for _, t := range list.Tools {
		if ipc.CheckName(t.Name) == nil {
			out = append(out, candidate{t.Name, term.Clean(t.Title)})
		}
	}
	if withList {
		out = append(out, candidate{toolList, "print the table"})
	}
	return out
}

// askQuickly leaves out empty where no agent answers in time.
func (a *app) askQuickly(path string, out any) {
	c := ipc.Open(ipc.Options{Getenv: a.getenv, NoStart: true})
	reply, err := c.Do(ipc.Request{Method: "GET", Path: path, Accept: "application/json", Timeout: 300 * time.Millisecond})
	if err == nil && reply.Status == 200 {
		_ = json.Unmarshal(reply.Body, out)
	}
}
