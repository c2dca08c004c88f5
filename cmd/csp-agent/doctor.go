package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/cspctl/cspctl/internal/doctor"
	"github.com/cspctl/cspctl/internal/harden"
	"github.com/cspctl/cspctl/internal/term"
)

const doctorUsage = `Usage: csp-agent doctor [-o text|json] [--user|--system]

Finds out why the agent does not work, and says what mends it. It changes
nothing, asks nobody for a password and sends no secret anywhere. Exit code 0
says that all is well, 1 that something is to be mended or looked at.

  -o text|json  the form of the report (default text)
  --user        the agent of this user (the default)
  --system      the service of the system
`

// runDoctor examines the agent and returns the exit code.
func runDoctor(args []string) int {
	var form, client string
	var user, system bool
	fs := flag.NewFlagSet("doctor", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&form, "o", "text", "")
	fs.StringVar(&client, "client", "", "") // the version of the cspctl that asks
	fs.BoolVar(&user, "user", false, "")
	fs.BoolVar(&system, "system", false, "")
	switch err := fs.Parse(args); {
	case err == flag.ErrHelp: //nolint:errorlint // as package flag returns it
		fmt.Print(doctorUsage)
		return 0
	case err != nil || fs.NArg() > 0 || form != "text" && form != "json" || user && system:
		fmt.Fprintln(os.Stderr, "csp-agent: error: wrong usage\ncsp-agent: hint: csp-agent doctor --help")
		return 2
	}
	_ = harden.Process() // it may open the file store to see whether its key fits
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	o := doctor.Options{Getenv: os.Getenv, System: system, Client: client}
	if exe, err := os.Executable(); err == nil {
		o.Exe = exe
	}
	f, err := findFiles(os.Getenv)
	switch {
	case system: // its files are its user's to see
	case err != nil:
		o.NoHome = err
	default:
		o.Files = doctor.Files{Config: f.config, State: f.state, Audit: f.audit, Store: f.store}
	}
	r := doctor.Run(ctx, o)
	out := []byte(r.Text(term.StyleFor(term.IsTerminal(os.Stdout), os.Getenv)))
	if form == "json" {
		if out, err = r.JSON(); err != nil {
			fmt.Fprintln(os.Stderr, "csp-agent: error: "+err.Error())
			return 1
		}
	}
	if _, err := os.Stdout.Write(out); err != nil {
		fmt.Fprintln(os.Stderr, "csp-agent: error: can't write to stdout: "+err.Error())
		return 1
	}
	if !r.OK {
		return 1
	}
	return 0
}
