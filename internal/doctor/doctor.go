// Package doctor finds out why csp-agent does not work, and says what mends it.
//
// An examination is a table of checks. Each looks at one thing, is bounded in
// time, changes nothing, prompts nobody and sends no secret anywhere. They run at
// the same time, and what they found comes in the order of the table.
package doctor

import (
	"context"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/term"
)

// State is how it is with what a check looked at.
type State string

// The states. Info is something to know that needs nothing done.
const (
	OK   State = "ok"
	Info State = "info"
	Warn State = "warn" // works now, and will not, or not everywhere
	Fail State = "fail" // does not work
)

// Finding is what a check found. Its texts are one line each, but for Detail.
type Finding struct {
	ID      string `json:"id"`                // of the check; never renamed
	Subject string `json:"subject,omitempty"` // what of several things: a profile, a server
	State   State  `json:"state"`
	Summary string `json:"summary"`
	Detail  string `json:"detail,omitempty"` // lines with more about it
	Fix     string `json:"fix,omitempty"`    // a command or a step; of Warn and Fail always
}

// Report is the result of an examination.
type Report struct {
	Version  int       `json:"version"` // of this form: it rises when a field changes its meaning
	OK       bool      `json:"ok"`      // no finding is Warn or Fail
	Time     time.Time `json:"time"`    // UTC
	CSPAgent string    `json:"csp_agent_version"`
	System   string    `json:"system"` // linux/amd64
	Checks   []Finding `json:"checks"`
}

// reportVersion is Report.Version.
const reportVersion = 1

// The time limits: of the examination, and of one check less those that it
// builds upon.
const (
	totalTime = 15 * time.Second
	checkTime = 12 * time.Second
)

// Files is where the agent's files are, in the environment of the examination.
type Files struct{ Config, State, Audit, Store string }

// Options say what is examined.
type Options struct {
	Getenv func(string) string // nil: os.Getenv
	Files  Files
	NoHome error // why Files is empty: no home is known

	System bool   // the system's service rather than the user's own agent
	Exe    string // csp-agent as it is on disk; empty: not known
	Client string // the version of the cspctl that asks; empty: none does

	Services Services // nil: the service manager of this system
}

// Run examines. It takes 15 seconds at most.
func Run(ctx context.Context, o Options) Report {
	ctx, cancel := context.WithTimeout(ctx, totalTime)
	defer cancel()
	e := newExam(ctx, o)
	found := make([][]Finding, len(checks))
	var wg sync.WaitGroup
	for i, c := range checks {
		wg.Go(func() { found[i] = c.run(ctx, e) })
	}
	wg.Wait()
	r := Report{Version: reportVersion, OK: true, Time: time.Now().UTC().Truncate(time.Second), CSPAgent: ipc.Version,
		System: runtime.GOOS + "/" + runtime.GOARCH}
	for _, list := range found {
		for _, f := range list {
			r.OK = r.OK && f.State != Warn && f.State != Fail
			r.Checks = append(r.Checks, f)
		}
	}
	return r
}

// check looks at one thing.
type check struct {
	id   string
	what string // for messages
	look func(context.Context, *exam) []Finding
}

// run calls look, and gives it up at its time limit: a file system that hangs
// can't be interrupted.
func (c check) run(ctx context.Context, e *exam) []Finding {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	done := make(chan []Finding, 1)
	go func() { done <- c.look(ctx, e) }()
	var found []Finding
	select {
	case found = <-done:
	case <-ctx.Done():
		found = []Finding{warn(c.what+" could not be looked at in time", "try again; if it stays so, a file system or a service hangs: look at its log")}
	}
	for i := range found {
		f := &found[i]
		f.ID = c.id
		f.Subject, f.Summary, f.Fix = term.Clean(f.Subject), term.Clean(f.Summary), term.Clean(f.Fix)
		lines := strings.Split(strings.TrimSpace(f.Detail), "\n")
		for i, l := range lines {
			lines[i] = term.Clean(l)
		}
		f.Detail = strings.Join(lines, "\n")
	}
	return found
}

func ok(summary string) Finding        { return Finding{State: OK, Summary: summary} }
func info(summary string) Finding      { return Finding{State: Info, Summary: summary} }
func warn(summary, fix string) Finding { return Finding{State: Warn, Summary: summary, Fix: fix} }
func fail(summary, fix string) Finding { return Finding{State: Fail, Summary: summary, Fix: fix} }

func (f Finding) detail(d string) Finding  { f.Detail = d; return f }
func (f Finding) subject(s string) Finding { f.Subject = s; return f }

// orFine is what was found, or that all is well if it is nothing.
func orFine(found []Finding, fine Finding) []Finding {
	for _, f := range found {
		if f.State != Info {
			return found
		}
	}
	return append([]Finding{fine}, found...)
}

// because is the text of an error without the path, which the reader is told
// anyway.
func because(err error) string {
	switch e := err.(type) { //nolint:errorlint // wrapped ones say more
	case *fs.PathError:
		return e.Err.Error()
	case *os.SyscallError:
		return e.Err.Error()
	}
	return err.Error()
}
