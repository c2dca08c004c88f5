package main

import (
	"flag"
	"strings"

	"github.com/cspctl/cspctl/internal/ipc"
)

// The kinds of flag value beyond those of package flag. Each knows what it
// accepts, which is also what completion offers.

// choice is one of a fixed list.
type choice struct {
	p    *string
	from []string
}

func (c choice) String() string {
	if c.p == nil { // package flag makes a zero value to compare with
		return ""
	}
	return *c.p
}

func (c choice) Set(s string) error {
	for _, v := range c.from {
		if s == v {
			*c.p = s
			return nil
		}
	}
	hint := ""
	if near := closest(s, c.from); near != "" {
		hint = "did you mean: " + near
	}
	return usage("not one of "+strings.Join(c.from, ", ")+": "+quote(s), hint)
}

// choiceVar declares a flag with a fixed list of values. The first one is the
// default, unless def says otherwise.
func choiceVar(fs *flag.FlagSet, p *string, name, def, about string, from ...string) {
	*p = def
	fs.Var(choice{p, from}, name, about)
}

// outputVar declares -o. The first form is the default.
func outputVar(fs *flag.FlagSet, p *string, forms ...string) {
	choiceVar(fs, p, "o", forms[0], "the form of the output", forms...)
}

// file is a path.
type file struct{ p *string }

func (f file) String() string {
	if f.p == nil {
		return ""
	}
	return *f.p
}

func (f file) Set(s string) error {
	if s == "" {
		return usage("the path is empty", "")
	}
	*f.p = s
	return nil
}

func fileVar(fs *flag.FlagSet, p *string, name, about string) { fs.Var(file{p}, name, about) }

// checked is a text that a function accepts or refuses.
type checked struct {
	p     *string
	check func(string) error
}

func (c checked) String() string {
	if c.p == nil {
		return ""
	}
	return *c.p
}

func (c checked) Set(s string) error {
	if err := c.check(s); err != nil {
		return err
	}
	*c.p = s
	return nil
}

func checkedVar(fs *flag.FlagSet, p *string, name, about string, check func(string) error) {
	fs.Var(checked{p, check}, name, about)
}

func checkDuration(s string) error {
	if _, err := ipc.ParseDuration(s); err != nil { // a nil *ipc.Error is no nil error
		return err
	}
	return nil
}

func checkPasscode(s string) error {
	ok := len(s) == 6
	for i := range len(s) {
		ok = ok && '0' <= s[i] && s[i] <= '9'
	}
	if !ok {
		return usage("a passcode has six digits", "take it from the authenticator app that the account uses")
	}
	return nil
}
