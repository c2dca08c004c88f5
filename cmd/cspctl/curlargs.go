package main

import (
	"strings"

	"github.com/cspctl/cspctl/internal/ipc"
)

// curlCall is what cspctl curl was asked for.
type curlCall struct {
	profile []string // none or one
	auth    string   // "", ipc.HeaderFormCSP or ipc.HeaderFormBearer
	url     curlURL
	options []string // of curl, in its long form or as they were
}

// readCurl reads the arguments as curl would, and refuses what is not on the
// list of its options. stdinTaken says that the token goes through stdin.
func readCurl(args []string, stdinTaken bool) (c curlCall, _ error) {
	var words []string
	add := func(o curlOption, as, value string, has bool) error {
		if !has {
			c.options = append(c.options, as)
			return nil
		}
		if err := checkCurlValue(o, as, value, stdinTaken); err != nil {
			return err
		}
		c.options = append(c.options, as, value)
		return nil
	}
	for i := 0; i < len(args); {
		a := args[i]
		i++
		next := func(name string) (string, error) {
			if i == len(args) {
				return "", usage(name+" needs a value", "see: cspctl help curl")
			}
			i++
			return args[i-1], nil
		}
		if a == "" || a == "-" || a == "--" || a[0] != '-' {
			words = append(words, a)
			continue
		}
		if name, value, has := strings.Cut(a, "="); name == "--auth" {
			if !has {
				var err error
				if value, err = next(name); err != nil {
					return c, err
				}
			}
			if err := (choice{&c.auth, []string{ipc.HeaderFormCSP, ipc.HeaderFormBearer}}).Set(value); err != nil {
				return c, badValue("auth", err)
			}
			continue
		}
		if strings.HasPrefix(a, "--") {
			o, ok := curlLong(a[2:])
			if !ok {
				return c, refusedCurl(a)
			}
			value, err := "", error(nil)
			if o.value {
				if value, err = next(a); err != nil {
					return c, err
				}
			}
			if err = add(o, a, value, o.value); err != nil {
				return c, err
			}
			continue
		}
		for j := 1; j < len(a); j++ { // a cluster: -sSf, -XPOST, -sd@file
			as := "-" + a[j:j+1]
			o, ok := curlShort(a[j])
			if !ok {
				return c, refusedCurl(as)
			}
			if !o.value {
				_ = add(o, as, "", false)
				continue
			}
			value, err := a[j+1:], error(nil)
			if value == "" {
				if value, err = next(as); err != nil {
					return c, err
				}
			}
			if err := add(o, as, value, true); err != nil {
				return c, err
			}
			break
		}
	}
	return c, c.readWords(words)
}

func (c *curlCall) readWords(words []string) (err error) {
	if len(words) > 1 && !strings.Contains(words[0], "://") {
		c.profile, words = words[:1], words[1:]
	}
	switch {
	case len(words) == 0:
		return usage("curl needs URL", "see: cspctl help curl")
	case len(words) > 1:
		return usage("curl takes one URL, and an option's value follows the option", "see: cspctl help curl")
	}
	c.url, err = readCurlURL(words[0])
	return err
}

// checkCurlValue refuses values that would reach further than the option.
func checkCurlValue(o curlOption, as, value string, stdinTaken bool) error {
	if !o.content && strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return usage("the value of "+as+" has a control character in it", "")
	}
	if stdinTaken && o.readsStdin(value) {
		return usage(as+" can't read stdin on this system, where the token goes through it", "write the data to a file first")
	}
	if o.long != "header" {
		return nil
	}
	name := value
	if at := strings.IndexAny(value, ":;"); at >= 0 {
		name = value[:at]
	}
	name = strings.ToLower(strings.TrimSpace(name))
	switch {
	case strings.HasPrefix(value, "@"):
		return usage("headers from a file are not taken", "give each as "+as+" 'Name: value'")
	case name == "authorization" || name == "csp-auth-token" || name == "host" || strings.HasPrefix(name, "proxy-"):
		return usage("the header "+name+" is not yours to set: it decides who gets the token", "leave it out; the form of the token is chosen with --auth")
	case name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "":
		return usage("the value of "+as+" is not a header", "give it as "+as+" 'Name: value'")
	}
	return nil
}

// allowed refuses a URL to which the token must not go.
func (c curlCall) allowed(h ipc.Hosts) error {
	u := c.url
	if ipc.MatchHost(h.Hosts, u.host, u.port, defaultPort(u.scheme)) {
		return nil
	}
	host := u.host
	if u.port != defaultPort(u.scheme) {
		host += ":" + u.port
	}
	return usage("the token of profile "+h.Profile+" does not go to this host", "if it should: hosts = [\""+host+"\"] below [curl] in the agent's settings, then SIGHUP")
}

// form is the header that the host takes.
func (c curlCall) form(h ipc.Hosts) string {
	if c.auth != "" {
		return c.auth
	}
	for _, p := range h.CSP {
		host, path, has := strings.Cut(p, "/")
		if ipc.MatchHost([]string{host}, c.url.host, c.url.port, defaultPort(c.url.scheme)) && (!has || strings.HasPrefix(c.url.path, "/"+path)) {
			return ipc.HeaderFormCSP
		}
	}
	return ipc.HeaderFormBearer
}

// arguments are those of curl; the token is in file, as one header.
func (c curlCall) arguments(file string) []string {
	args := []string{"-q", "--globoff", "--proto", "=" + c.url.scheme}
	if c.url.loopback() {
		args = append(args, "--noproxy", "*")
	}
	args = append(args, "-H", "@"+file)
	args = append(args, c.options...)
	return append(args, c.url.text)
}
