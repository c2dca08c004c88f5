package ipc

import "strings"

// What stands in the value of a ToolVar, in braces, and behind the = of cspctl
// exec --env, without them.
const (
	GiveAccess   = "access"   // an access token, which the program can't renew
	GiveStandIn  = "standin"  // in place of the API token
	GiveURL      = "url"      // of the local endpoint: scheme, host and port
	GiveHostPort = "hostport" // of the same: host and port alone
	GiveCAFile   = "ca-file"  // the path of a PEM file with the CA of the local endpoint
)

// Gives are all of them.
var Gives = []string{GiveAccess, GiveStandIn, GiveURL, GiveHostPort, GiveCAFile}

// Needs returns what the variables of a tool are made of, in the order of Gives.
// A brace that belongs to none of them is an *Error.
func (v ToolVar) Needs() ([]string, *Error) {
	var found []string
	rest := v.Value
	for _, g := range Gives {
		if cut := strings.ReplaceAll(rest, "{"+g+"}", "\x00"); cut != rest {
			found, rest = append(found, g), cut
		}
	}
	if strings.ContainsAny(rest, "{}") {
		return nil, &Error{Code: CodeBadRequest, Message: "the value of " + printable(v.Name) + " has braces around something else than " + strings.Join(Gives, ", "),
			Hint: "write it like \"{standin}\" or \"{url}/path\""}
	}
	return found, nil
}

// Expand returns the value with what was given in place of the names in braces.
func (v ToolVar) Expand(given map[string]string) string {
	var pairs []string
	for _, g := range Gives {
		pairs = append(pairs, "{"+g+"}", given[g])
	}
	return strings.NewReplacer(pairs...).Replace(v.Value) // what was given is not looked at again
}

// CheckVariable returns an error with CodeBadRequest unless name can be the name
// of a variable in the sense of POSIX: letters, digits and underscores of ASCII,
// no digit first, 128 bytes at most.
func CheckVariable(name string) *Error {
	ok := name != "" && len(name) <= 128
	for i := range len(name) {
		c := name[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_'
		ok = ok && (letter || i > 0 && '0' <= c && c <= '9')
	}
	if !ok {
		return &Error{Code: CodeBadRequest, Message: "not a name that a shell takes for a variable: " + printable(name), Hint: "use letters, digits and _, no digit first"}
	}
	return nil
}

// CheckToolVar is CheckVariable for what a table of tools sets: variables that
// decide which code a program runs are refused, too.
func CheckToolVar(name string) *Error {
	if err := CheckVariable(name); err != nil {
		return err
	}
	upper := strings.ToUpper(name)
	switch {
	case strings.HasPrefix(upper, "LD_"), strings.HasPrefix(upper, "DYLD_"):
	case upper == "PATH", upper == "PATHEXT", upper == "BASH_ENV", upper == "ENV", upper == "IFS", upper == "SHELL",
		upper == "PYTHONPATH", upper == "PYTHONSTARTUP", upper == "NODE_OPTIONS", upper == "PERL5OPT", upper == "RUBYOPT", upper == "JAVA_TOOL_OPTIONS":
	default:
		return nil
	}
	return &Error{Code: CodeBadRequest, Message: "the variable " + name + " decides which code a program runs, and is not for a table of tools", Hint: "set it by yourself"}
}
