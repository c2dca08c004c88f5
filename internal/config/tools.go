package config

import (
	"maps"
	"slices"

	"github.com/cspctl/cspctl/internal/ipc"
)

// Tool is a program for cspctl exec --for, or a change to one that is known.
type Tool struct {
	// Env is what is set for it, by the name of the variable. In a value,
	// {access}, {standin}, {url}, {hostport} and {ca-file} stand for what
	// cspctl exec --env calls so. It takes the place of all that is known.
	Env map[string]string `toml:"env"`
	// TLS: the program insists on https. Nil: as it is known, else no.
	TLS *bool `toml:"tls"`
	// Title is what people call it. Empty: as it is known, else its name.
	Title string `toml:"title"`
}

// Vars are the variables of Env by name; nil if there are none.
func (t Tool) Vars() []ipc.ToolVar {
	var list []ipc.ToolVar
	for _, name := range slices.Sorted(maps.Keys(t.Env)) {
		list = append(list, ipc.ToolVar{Name: name, Value: t.Env[name]})
	}
	return list
}

// checkTools returns the key and the fault of the first tool that can't be.
func (s Settings) checkTools() (key, text string) {
	for _, name := range slices.Sorted(maps.Keys(s.Tools)) {
		t := s.Tools[name]
		at := "tools." + name
		if ipc.CheckName(name) != nil || name == "list" {
			return at, "[tools.NAME]: a name has letters, digits, dots, dashes and underscores, a letter or digit first, and is not list"
		}
		for _, v := range t.Vars() {
			if bad := ipc.CheckToolVar(v.Name); bad != nil {
				return at + ".env", bad.Message + "; " + bad.Hint
			}
			if _, bad := v.Needs(); bad != nil {
				return at + ".env", bad.Message + "; " + bad.Hint
			}
		}
		if !plainText(t.Title) {
			return at + ".title", "title is one line"
		}
	}
	return "", ""
}

func plainText(s string) bool {
	for _, r := range s {
		if r < ' ' || r == 0x7f {
			return false
		}
	}
	return len(s) <= 200
}
