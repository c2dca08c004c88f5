package main

import (
	"runtime"
	"slices"
	"strings"
)

// variables is an environment that is changed.
type variables []string

// sameName compares the names of variables as the system does.
func sameName(a, b string) bool {
	return a == b || runtime.GOOS == "windows" && strings.EqualFold(a, b)
}

func (v variables) get(name string) string {
	for _, entry := range slices.Backward(v) {
		if n, value, _ := strings.Cut(entry, "="); sameName(n, name) {
			return value
		}
	}
	return ""
}

// set sets a variable, which is there once then.
func (v *variables) set(name, value string) {
	*v = append(slices.DeleteFunc(*v, func(entry string) bool {
		n, _, _ := strings.Cut(entry, "=")
		return sameName(n, name)
	}), name+"="+value)
}

// environ returns the environment of the command.
func (p *plan) environ(base []string, given map[string]string) []string {
	v := variables(slices.Clone(base))
	if p.needsRun() {
		v.direct()
	}
	for _, set := range p.roots {
		v.set(set.Name, set.Value)
	}
	for _, set := range p.vars {
		v.set(set.Name, set.Expand(given))
	}
	return v
}

// loopback is where no proxy may stand between: it would see the stand-in, and
// could not reach the endpoint.
const loopback = "127.0.0.1,localhost"

// direct adds loopback to the hosts that are reached without a proxy. Programs
// read one of the two names or the other, and some the first that is there: each
// gets what the other had.
func (v *variables) direct() {
	names := []string{"NO_PROXY", "no_proxy"}
	before := []string{v.get(names[0]), v.get(names[1])}
	for i, name := range names {
		list := before[i]
		if list == "" {
			list = before[1-i]
		}
		switch {
		case list == "*": // alone, it is all hosts; in a list, it is nothing to some
		case list == "":
			list = loopback
		default:
			list += "," + loopback
		}
		v.set(name, list)
	}
}
