package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/sim"
)

// options are the command line.
type options struct {
	listen, readyFile, caOut string
	tls, public              bool
	life                     time.Duration
	expiresIn                map[string]time.Duration // by account; "" is for the others
	print                    []string                 // accounts
	files                    []accountFile
	apps, vcdTokens          []accountFile
	vcdUsers                 []accountFile
}

// accountFile is an account whose secret goes to a file.
type accountFile struct {
	account, file string
	org, rotation string // of Cloud Director; empty: the simulator's default
}

func parseOptions(args []string, stderr io.Writer) (options, error) {
	o := options{life: sim.DefaultLife, expiresIn: map[string]time.Duration{}}
	f := flag.NewFlagSet("csp-sim", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.listen, "listen", "127.0.0.1:0", "address to listen on; port 0 picks a free one")
	f.BoolVar(&o.public, "public", false, "allow an address that is not loopback")
	f.BoolVar(&o.tls, "tls", false, "serve https with a certificate of a CA made at start")
	f.StringVar(&o.caOut, "ca-out", "", "write that CA's certificate to `FILE`")
	f.StringVar(&o.readyFile, "ready-file", "", "write the base URL to `FILE` once listening; removed at the end")
	f.Func("life", "life of access tokens (default 1799s)", func(s string) (err error) {
		o.life, err = duration(s)
		return err
	})
	f.Func("expires-in", "what is left of the API tokens' life: `[NAME=]DURATION` (default 180d); repeatable", func(s string) error {
		name, text, ok := strings.Cut(s, "=")
		if !ok {
			name, text = "", s
		}
		d, err := duration(text)
		o.expiresIn[name] = d
		return err
	})
	f.Func("print-token", "make an API token for account `NAME` and print it; repeatable", func(s string) error {
		o.print = append(o.print, s)
		return checkAccount(s)
	})
	f.Func("token-file", "make an API token for an account and write it to a file of mode 0600: `NAME=FILE`; repeatable", func(s string) error {
		return addAccount(&o.files, s)
	})
	f.Func("app", "make an OAuth app and write its client id and secret, a line each, to a file of mode 0600: `NAME=FILE`; repeatable", func(s string) error {
		return addAccount(&o.apps, s)
	})
	f.Func("vcd-token", "make a Cloud Director API token and write it to a file of mode 0600: `NAME=FILE[,org=ORG][,rotation=never|always|once]`; repeatable", func(s string) error {
		return addAccount(&o.vcdTokens, s, "org", "rotation")
	})
	f.Func("vcd-user", "make a Cloud Director user and write the password to a file of mode 0600: `NAME=FILE[,org=ORG]`; repeatable", func(s string) error {
		return addAccount(&o.vcdUsers, s, "org")
	})
	if err := f.Parse(args); err != nil {
		return o, err
	}
	return o, o.check(f)
}

// addAccount reads NAME=FILE[,field=VALUE...].
func addAccount(list *[]accountFile, s string, fields ...string) error {
	name, rest, ok := strings.Cut(s, "=")
	file, more, _ := strings.Cut(rest, ",")
	if len(fields) == 0 {
		file, more = rest, ""
	}
	if !ok || file == "" {
		return errors.New("write it as NAME=FILE")
	}
	a := accountFile{account: name, file: file}
	for more != "" {
		var field string
		field, more, _ = strings.Cut(more, ",")
		key, value, _ := strings.Cut(field, "=")
		switch {
		case !slices.Contains(fields, key) || value == "":
			return fmt.Errorf("after the file may come %s=VALUE", strings.Join(fields, "=VALUE or "))
		case key == "org":
			a.org = value
		default:
			a.rotation = value
		}
	}
	*list = append(*list, a)
	return checkAccount(name)
}

func (o *options) check(f *flag.FlagSet) error {
	host, _, err := net.SplitHostPort(o.listen)
	switch {
	case f.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", f.Arg(0))
	case err != nil:
		return fmt.Errorf("-listen: %w", err)
	case !o.public && !loopback(host):
		return errors.New("-listen: not a loopback address: this server gives tokens to anyone; add -public if that is meant")
	case o.caOut != "" && !o.tls:
		return errors.New("-ca-out needs -tls")
	case o.life < time.Second:
		return errors.New("-life: at least a second, since expires_in counts seconds")
	}
	for _, name := range slices.Sorted(maps.Keys(o.expiresIn)) {
		if name != "" && !slices.Contains(o.accounts(), name) {
			return fmt.Errorf("-expires-in: no account %s: name it in -print-token or -token-file", name)
		}
	}
	return nil
}

// accounts are those of API tokens that the flags name, in order, or the one
// called default where no flag names any account.
func (o *options) accounts() []string {
	names := slices.Clone(o.print)
	for _, a := range o.files {
		names = append(names, a.account)
	}
	if len(names)+len(o.apps)+len(o.vcdTokens)+len(o.vcdUsers) == 0 {
		return []string{"default"}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// apiToken is the account's token; its secret is made by the simulator.
func (o *options) apiToken(account string) sim.APIToken {
	left := cmp.Or(o.expiresIn[account], o.expiresIn[""])
	return sim.APIToken{Name: account, ExpiresIn: sim.Duration(left)}
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func checkAccount(name string) error {
	if err := ipc.CheckName(name); err != nil {
		return errors.New("an account's name has letters, digits, dots, dashes and underscores")
	}
	return nil
}

func duration(s string) (time.Duration, error) {
	d, err := ipc.ParseDuration(s)
	if err != nil {
		return 0, errors.New(err.Message)
	}
	return d, nil
}
