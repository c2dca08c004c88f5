package main

import (
	"strings"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
)

// runWith runs the command while the agent keeps a stand-in and an endpoint for
// it.
func (a *app) runWith(c *ipc.Client, exe string, p *plan, given map[string]string, req ipc.RunRequest) error {
	stream, run, err := c.StartRun(req)
	if err != nil {
		return err
	}
	// From here on the connection is that of the follower, and closed by the end of
	// this process.
	if strings.HasPrefix(run.URL, "https:") != p.tls {
		return failed(ipc.CodeInternal, "the agent's endpoint is not what was asked for", "replace the agent: csp-agent restart")
	}
	given[ipc.GiveStandIn] = run.StandIn.Reveal()
	given[ipc.GiveURL], given[ipc.GiveHostPort] = run.URL, run.HostPort
	if p.tls {
		ca, err := a.caFile(run)
		if err != nil {
			return err
		}
		defer ca.remove()
		given[ipc.GiveCAFile], p.roots = ca.path, ca.vars
		if !p.needs[ipc.GiveCAFile] {
			a.sayOfCA(ca, run)
		}
	}
	defer holdPort(run.HostPort)()
	f := &follower{a: a, req: req, run: run, stream: stream, stop: make(chan struct{})}
	go f.follow()
	defer f.end()
	code, err := runChild(exe, a.tail, p.environ(a.environ(), given))
	if err != nil {
		return a.cantRun(a.tail[0], err)
	}
	return ended(code)
}

// Between two tries to have a run go on whose agent has ended.
const (
	firstPause = 50 * time.Millisecond
	mostPause  = 5 * time.Second
	// unsaid is for how long nothing is said of it: an upgrade is quicker.
	unsaid = 15 * time.Second
)

// follower keeps the run alive for as long as the command lives.
type follower struct {
	a      *app
	req    ipc.RunRequest
	run    ipc.Run
	stream *ipc.RunStream
	stop   chan struct{} // closed once the command has ended
}

// follow waits for the end of the run. Where the agent ended, it asks the next
// one to go on with it.
func (f *follower) follow() {
	for {
		end, err := f.stream.Wait()
		if f.stopped() {
			return
		}
		if err == nil {
			f.a.warn("the stand-in has ended: "+end.Message, "the command goes on without one")
			return
		}
		f.stream.Close()
		if !f.again() {
			return
		}
	}
}

// again registers the run with the next agent, and reports whether that was done.
func (f *follower) again() bool {
	req := f.req
	req.Profile, req.Again = f.run.Profile, f.run.Again
	since, wait, said := time.Now(), firstPause, false
	for {
		select {
		case <-f.stop:
			return false
		case <-time.After(wait):
		}
		wait = min(2*wait, mostPause)
		// A client of its own: what it has to say of versions is no news in the
		// middle of the command's own output.
		stream, run, err := ipc.Open(ipc.Options{Getenv: f.a.getenv}).StartRun(req)
		switch {
		case err == nil && run.HostPort == f.run.HostPort && run.StandIn.Equal(f.run.StandIn.Text):
			f.stream, f.run = stream, run
			return true
		case err == nil:
			stream.Close()
			err = failed(ipc.CodeNotAllowed, "the agent gave another one", "")
		}
		if f.stopped() {
			return false
		}
		toWait := unsaid
		switch codeOf(err) {
		case ipc.CodeBadRequest, ipc.CodeNoSuchProfile, ipc.CodeNotAllowed, ipc.CodeNotFound:
			f.a.warn("the stand-in has ended with its agent: "+err.Error(), "the command goes on without one")
			return false
		case ipc.CodeNotLoggedIn, ipc.CodeLocked, ipc.CodeStoreLocked: // a person can mend that
			toWait = 0
		}
		if !said && time.Since(since) > toWait {
			said = true
			f.a.warn("no agent goes on with the stand-in: "+err.Error(), "it is tried again for as long as the command runs")
		}
	}
}

func (f *follower) stopped() bool {
	select {
	case <-f.stop:
		return true
	default:
		return false
	}
}

// end stops following. What goes on in a system call ends with this process.
func (f *follower) end() { close(f.stop) }
