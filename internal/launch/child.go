package launch

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"time"
)

// runChild runs a program as a child of the agent.
func (l *Launcher) runChild(outer context.Context, c Command) error {
	ctx, cancel := context.WithTimeout(outer, c.Timeout)
	defer cancel()
	out, err := newStderr()
	if err != nil {
		return &Error{Reason: NotStarted, Program: c.Argv[0], Err: err}
	}
	in, feed, err := os.Pipe()
	if err != nil {
		out.discard()
		return &Error{Reason: NotStarted, Program: c.Argv[0], Err: err}
	}
	cmd := l.prepare(c.Argv)
	cmd.Stdin, cmd.Stderr = in, out.w
	g, err := startGroup(ctx, cmd)
	_ = in.Close()
	if err != nil {
		out.discard()
		_ = feed.Close()
		return notStarted(ctx, c.Argv[0], err)
	}
	defer g.close()
	out.started()
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		_, _ = feed.Write(c.Stdin) // it need not read all of it
		_ = feed.Close()
	}()

	ended := make(chan struct{})
	go func() {
		g.awaitExit()
		close(ended)
	}()
	late := false
	select {
	case <-ended:
	case <-ctx.Done():
		late = true
	}
	// The same for what it leaves running: until it is reaped, the number of
	// its group is nobody else's.
	g.terminate()
	grace := time.After(l.limits.kill)
	if late {
		select {
		case <-ended:
		case <-grace:
			grace = closed
		}
	}
	out.drained(grace)
	g.kill()
	_ = feed.Close()
	<-fed
	text := out.close()
	select {
	case <-ended:
		err = cmd.Wait()
	case <-time.After(l.limits.kill): // in the kernel, where a dead file server holds it
		go func() { _ = cmd.Wait() }()
		late = true
	}
	switch {
	case late:
		return stopped(c.Argv[0], outer, text)
	case err != nil:
		return childError(c.Argv[0], err, text)
	}
	return nil
}

// closed is a time that has come.
var closed = func() <-chan time.Time {
	c := make(chan time.Time)
	close(c)
	return c
}()

// notStarted is the error for a program that did not get to run.
func notStarted(ctx context.Context, program string, err error) error {
	e := &Error{Reason: NotStarted, Program: program, Err: err}
	switch why, about := fileReason(program); {
	case ctx.Err() != nil:
	case errors.Is(err, os.ErrNotExist):
		e.Reason, e.Err = NotFound, nil
		if why == 0 {
			e.Err = errors.New("the file is there, but not the interpreter that its first line names")
		}
	case why != 0:
		e.Reason, e.Err = why, about
	case errors.Is(err, os.ErrPermission), isFormat(err):
		e.Reason = NotExecutable
	}
	return e
}

// childError is the error for a program that ended with another status than 0.
func childError(program string, err error, text string) error {
	e := &Error{Reason: NotStarted, Program: program, Err: err, Stderr: text}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		e.Err = nil
		e.Reason, e.Status = Exited, exit.ExitCode()
		if name := signalOf(exit); name != "" {
			e.Reason, e.Signal = Killed, name
		}
	}
	return e
}
