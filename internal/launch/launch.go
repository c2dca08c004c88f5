// Package launch starts programs that are none of the agent's business: hooks
// and browsers. They share nothing with the agent: neither its sandbox and
// limits, nor its environment, descriptors, group or session.
package launch

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Options are what a Launcher needs to know.
type Options struct {
	Getenv func(string) string // of the agent; os.Getenv if nil
	// Umask is that of the programs where the agent starts them itself: the
	// one it was started with, before it closed its own.
	Umask int
	Log   *slog.Logger
}

// Launcher starts programs. It is safe for concurrent use.
type Launcher struct {
	getenv func(string) string
	umask  int
	log    *slog.Logger
	limits limits
}

// limits are how long things may take.
type limits struct {
	kill    time.Duration // what a program has after SIGTERM
	manager time.Duration // for an answer of the service manager's
	// early is the time in which a program that opens pages fails, if it does.
	// Later on it is the browser.
	early time.Duration
	// portalStart bounds the call of the portal, which may start it;
	// portalAnswer the wait for what became of it. A dialog that is open by
	// then is the person's.
	portalStart, portalAnswer time.Duration
}

// New returns a Launcher; nothing is started or dialled yet.
func New(o Options) *Launcher {
	l := &Launcher{getenv: o.Getenv, umask: o.Umask, log: o.Log, limits: limits{
		kill: 2 * time.Second, manager: 5 * time.Second, early: 3 * time.Second,
		portalStart: 6 * time.Second, portalAnswer: 3 * time.Second,
	}}
	if l.getenv == nil {
		l.getenv = os.Getenv
	}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	return l
}

// Command is a program to run.
type Command struct {
	Argv  []string // the first is the absolute path of the program
	Stdin []byte
	// Timeout is how long it may run: then it gets SIGTERM, and SIGKILL two
	// seconds later. What it leaves running ends with it.
	Timeout time.Duration
}

// Run runs a program to its end, and discards what it writes. Its error is an
// *Error; where ctx ends first, the program is ended as at its time limit, and
// the error wraps that of ctx.
//
// As a service of the user's the agent has the user's service manager run it;
// else, on unix, it is a child in a session of its own.
func (l *Launcher) Run(ctx context.Context, c Command) error {
	switch {
	case len(c.Argv) == 0 || !filepath.IsAbs(c.Argv[0]):
		return &Error{Reason: NotFound, Program: strings.Join(c.Argv[:min(1, len(c.Argv))], ""), Err: errors.New("its path must be absolute")}
	case c.Timeout <= 0:
		return &Error{Reason: NotStarted, Program: c.Argv[0], Err: errors.New("it has no time limit")}
	}
	for _, arg := range c.Argv {
		if strings.ContainsRune(arg, 0) {
			return &Error{Reason: NotStarted, Program: c.Argv[0], Err: errors.New("an argument contains a NUL byte")}
		}
	}
	if m := l.findManager(); m != nil {
		return m.run(ctx, c)
	}
	return l.runChild(ctx, c)
}

// fileReason says why a program can't be executed, as far as its file shows.
func fileReason(path string) (Reason, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return NotFound, nil
	case err != nil:
		return NotStarted, err
	case info.IsDir():
		return NotExecutable, errors.New("it is a directory")
	case !info.Mode().IsRegular():
		return NotExecutable, errors.New("it is no regular file")
	}
	return 0, nil
}
