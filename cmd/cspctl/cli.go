package main

import (
	"errors"
	"flag"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/cspctl/cspctl/internal/ipc"
)

// command is one entry of the table. All but setup is plain data, so that the
// table costs nothing at start-up: only the command asked for builds its flags.
type command struct {
	name     string
	args     []arg
	summary  string // one line, for the list of commands
	help     string // paragraphs, without the usage line and the flags
	examples string // command lines, one a line
	raw      bool   // it reads its arguments itself, flags included
	tooMany  string // what to say of an argument too many; "" for the usual
	tail     string // what stands behind --, as shown, and is nobody's flag: CMD ...

	// setup declares the flags and returns what runs with them. nil if the
	// command only has commands below it.
	setup func(*flag.FlagSet) runFunc
	below []*command

	// end, where not nil, takes the place of fail and exitCode: it says what
	// went wrong and returns the exit code.
	end func(*app, error) int
}

type runFunc func(a *app, args []string) error

// arg is an argument that is not a flag. Required ones come first.
type arg struct {
	name     string // as shown: PROFILE
	optional bool
	repeat   bool // may be given more than once; only the last one of a command
	kind     argKind
	choices  []string // of kind choiceArg
}

type argKind int

const (
	wordArg    argKind = iota // anything
	profileArg                // the name of a profile that exists
	choiceArg
	commandArg // the name of a command
)

// run runs cspctl and returns its exit code.
func run(table []*command, env environment, args []string) int {
	a := &app{environment: env, commands: table}
	err := a.dispatch(args)
	if err == nil {
		return exitDone
	}
	if a.running != nil && a.running.end != nil {
		return a.running.end(a, err)
	}
	a.fail(err)
	return exitCode(err)
}

func (a *app) dispatch(args []string) error {
	for _, form := range []string{"json", "nagios"} { // a usage error comes before the flags are known
		if wantsOutput(args, form) {
			a.setOutput(form)
		}
	}
	switch {
	case len(args) == 0:
		return usage("no command given", "see: cspctl help")
	case args[0] == "__complete":
		return a.complete(args[1:])
	case args[0] == "-h" || args[0] == "--help":
		return a.print(a.overview())
	case args[0] == "--version":
		args = []string{versionCommand.name}
	}
	cmd, path, rest, err := find(a.commands, args)
	if err != nil {
		return err
	}
	a.running = cmd
	if cmd.setup == nil { // its name alone, or with -h
		if len(rest) > 0 {
			return a.print(a.commandHelp(cmd, path))
		}
		return usage(path+" needs a command below it", "see: cspctl help "+path)
	}
	fs := newFlags(cmd)
	runIt := cmd.setup(fs)
	if cmd.raw {
		a.setOutput("")
		if len(rest) > 0 && isHelp(rest[0]) {
			return a.print(a.commandHelp(cmd, path))
		}
		return runIt(a, rest)
	}
	if cmd.tail != "" {
		if i := slices.Index(rest, "--"); i >= 0 {
			rest, a.tail = rest[:i], rest[i+1:]
		}
	}
	words, help, err := parse(fs, rest)
	switch {
	case help:
		return a.print(a.commandHelp(cmd, path))
	case err != nil:
		return withHelp(err, path)
	}
	if f := fs.Lookup("o"); f != nil {
		a.setOutput(f.Value.String())
	}
	if err := checkCount(cmd, path, len(words)); err != nil {
		return err
	}
	return runIt(a, words)
}

func newFlags(cmd *command) *flag.FlagSet {
	fs := flag.NewFlagSet(cmd.name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	return fs
}

// find follows the leading words of args down the table. path is the command's
// full name. A -h in place of a command's name is left in rest.
func find(table []*command, args []string) (cmd *command, path string, rest []string, err error) {
	for {
		var next *command
		for _, c := range table {
			if c.name == args[0] {
				next = c
			}
		}
		if next == nil {
			if cmd != nil && isHelp(args[0]) {
				return cmd, path, args, nil
			}
			return nil, "", nil, unknownCommand(table, path, args[0])
		}
		cmd, path, args = next, strings.TrimSpace(path+" "+next.name), args[1:]
		if len(cmd.below) == 0 || len(args) == 0 {
			return cmd, path, args, nil
		}
		table = cmd.below
	}
}

func isHelp(s string) bool { return s == "-h" || s == "--help" || s == "-help" }

func unknownCommand(table []*command, path, word string) error {
	names := make([]string, len(table))
	for i, c := range table {
		names[i] = c.name
	}
	hint := "see: cspctl help"
	if path != "" {
		hint += " " + path
		path += " "
	}
	if near := closest(word, names); near != "" {
		hint = "did you mean: cspctl " + path + near
	}
	if strings.HasPrefix(word, "-") {
		return usage("flags come after the command: "+quote(word), "see: cspctl help")
	}
	return usage("unknown command "+quote(word), hint)
}

// parse reads flags and words in any order; after -- all are words. It does
// what [flag.FlagSet.Parse] does, which stops at the first word.
func parse(fs *flag.FlagSet, args []string) (words []string, help bool, err error) {
	for len(args) > 0 {
		a := args[0]
		args = args[1:]
		if a == "--" {
			return append(words, args...), false, nil
		}
		if len(a) < 2 || a[0] != '-' {
			words = append(words, a)
			continue
		}
		if isHelp(a) {
			return nil, true, nil
		}
		name, value, has := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(a, "-"), "-"), "=")
		f := fs.Lookup(name)
		if f == nil && a[1] != '-' && !has && fs.Lookup(a[1:2]) != nil { // -ojson
			name, value, has = a[1:2], a[2:], true
			f = fs.Lookup(name)
		}
		if f == nil {
			return nil, false, unknownFlag(fs, name)
		}
		if b, ok := f.Value.(interface{ IsBoolFlag() bool }); ok && b.IsBoolFlag() {
			if !has {
				value = "true"
			}
		} else if !has {
			if len(args) == 0 {
				return nil, false, usage(dashed(name)+" needs a value", "")
			}
			value, args = args[0], args[1:]
		}
		if err := fs.Set(name, value); err != nil {
			return nil, false, badValue(name, err)
		}
	}
	return words, false, nil
}

// dashed returns a flag as it is typed.
func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

func unknownFlag(fs *flag.FlagSet, name string) error {
	var names []string
	fs.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
	hint := ""
	if near := closest(name, names); near != "" {
		hint = "did you mean: " + dashed(near)
	}
	return usage("unknown flag "+quote(dashed(name)), hint)
}

func badValue(name string, err error) error {
	if e, ok := errors.AsType[*ipc.Error](err); ok {
		return usage(dashed(name)+": "+e.Message, e.Hint)
	}
	return usage("the value of "+dashed(name)+" can't be read", "")
}

// withHelp adds where to read on to a usage error that has no better hint.
func withHelp(err error, path string) error {
	if e, ok := errors.AsType[*ipc.Error](err); ok && e.Hint == "" {
		e.Hint = "see: cspctl help " + path
	}
	return err
}

func checkCount(cmd *command, path string, n int) error {
	most := len(cmd.args)
	for i, a := range cmd.args {
		if !a.optional && i >= n {
			return withHelp(usage(path+" needs "+a.name, ""), path)
		}
		if a.repeat {
			most = max(most, n)
		}
	}
	if n > most && cmd.tooMany != "" {
		return withHelp(usage(cmd.tooMany, ""), path)
	}
	if n > most {
		takes := "no argument"
		if most > 0 {
			takes = "at most " + strconv.Itoa(most)
		}
		return withHelp(usage("too many arguments: "+path+" takes "+takes, ""), path)
	}
	return nil
}

func (a *app) setOutput(form string) { a.output, a.json = form, form == "json" }

// wantsOutput guesses from the words whether a form was asked for by -o.
func wantsOutput(args []string, form string) bool {
	for i, a := range args {
		if a == "--" {
			return false
		}
		v, ok := strings.CutPrefix(a, "-o")
		if !ok {
			v, ok = strings.CutPrefix(a, "--o")
		}
		if ok && (v == form || v == "="+form || v == "" && i+1 < len(args) && args[i+1] == form) {
			return true
		}
	}
	return false
}
