package sink

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
)

// addTime is how long Add waits for the file to be there.
const addTime = 5 * time.Second

// change is what a change of the list begins with: the sinks of this agent, and
// what else the list has.
type change struct {
	writers []*writer // a copy
	others  []entry   // of other agents, and of those with this socket on other machines that share the home
	finish  func()    // to be called once
}

// begin waits until nobody else changes the list, and for as long as ctx lasts.
func (s *Sinks) begin(ctx context.Context) (change, *ipc.Error) {
	select {
	case s.changing <- struct{}{}:
	case <-ctx.Done():
		return change{}, &ipc.Error{Code: ipc.CodeBusy, Message: "another change of the sinks is not done yet, perhaps on a disk that hangs", Hint: "try again; else: csp-agent restart"}
	}
	c := change{finish: func() { <-s.changing }}
	bad := s.usable()
	if bad == nil {
		unlock, err := s.File.Lock(ctx)
		if err != nil {
			bad = &ipc.Error{Code: ipc.CodeState, Message: fmt.Sprintf("the list of sinks can't be locked: %v", err), Hint: "make its folder writable, or end the other agent, and try again"}
		} else {
			c.finish = func() { unlock(); <-s.changing }
			c.others, bad = s.read()
		}
	}
	if bad != nil {
		c.finish()
		return change{}, bad
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.writers = slices.Clone(s.writers)
	c.others = slices.DeleteFunc(c.others, func(e entry) bool {
		return e.Socket == s.Socket && slices.ContainsFunc(c.writers, func(w *writer) bool { return w.File == e.File })
	})
	return c, nil
}

// settled runs a change that nobody asked this package for, to its end, and waits
// for that for settleTime at most.
func (s *Sinks) settled(change func(context.Context)) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		change(s.ctx)
	}()
	select {
	case <-done:
	case <-time.After(settleTime):
	}
}

// Add makes a sink, or changes the format and mode of the one that has the file,
// and waits a while for the file to be there.
func (s *Sinks) Add(ctx context.Context, req ipc.SinkRequest) (ipc.Sink, error) {
	ctx, cancel := context.WithTimeout(ctx, addTime)
	defer cancel()
	w, bad := s.add(ctx, req)
	if bad != nil {
		return ipc.Sink{}, bad
	}
	w.await(ctx, func() bool { return w.looks > 0 })
	return w.shown(), nil
}

func (s *Sinks) add(ctx context.Context, req ipc.SinkRequest) (*writer, *ipc.Error) {
	mode, bad := parseMode(req.Mode)
	if bad != nil {
		return nil, bad
	}
	e := entry{Socket: s.Socket, Profile: req.Profile, Format: req.Format, File: req.File, Mode: mode}
	switch e.Format {
	case "":
		e.Format = ipc.SinkRaw
	case ipc.SinkRaw, ipc.SinkJSON, ipc.SinkHeader, ipc.SinkBearer:
	default:
		return nil, refuse("formats are raw, json, header and bearer", "there is no such format")
	}
	c, bad := s.begin(ctx)
	if bad != nil {
		return nil, bad
	}
	defer c.finish()
	p, err := s.agent.Profile(e.Profile)
	if err != nil {
		return nil, wire(err)
	}
	e.Profile = p.Name // an empty one is the default
	if e.Format == ipc.SinkHeader {
		if bad := headerFor(p.Provider, p.Name); bad != nil {
			return nil, bad
		}
	}
	switch {
	case e.File == "" && s.Folder == "":
		return nil, refuse("give --file, below one of dirs of [sinks] in the settings", "the system service has no folder of its own for files with tokens")
	case e.File == "":
		e.File = filepath.Join(s.Folder, e.Profile)
		if e.Format != ipc.SinkRaw {
			e.File += "." + e.Format
		}
	}
	at, bad := s.place(e.File)
	if bad != nil {
		return nil, bad
	}
	taken := false // from an agent that is no more, and perhaps never again
	for i, o := range slices.Backward(c.others) {
		switch {
		case o.File != e.File && resolved(o.File) != at:
		case o.Socket != s.Socket && s.Listens(o.Socket):
			return nil, refuse("choose another --file, or: CSP_AGENT_SOCK="+o.Socket+" cspctl sink remove "+o.File, "the file is a sink of the agent at %s", o.Socket)
		default:
			c.others, taken = slices.Delete(c.others, i, i+1), true
		}
	}
	var old *writer
	for _, w := range c.writers {
		if w.File == e.File || w.is(at) {
			old = w
		}
	}
	switch {
	case old != nil && old.entry == e:
		return old, nil
	case old != nil && old.Profile != e.Profile:
		return nil, refuse("choose another --file, or: cspctl sink remove "+old.File, "the file is a sink of profile %s", old.Profile)
	case old == nil && !taken && exists(at):
		return nil, refuse("remove it, or choose another --file", "there is a file %s already", e.File)
	case old == nil && len(c.writers) >= maxSinks:
		return nil, refuse("remove some: cspctl sink list", "there are %d sinks, and no more can be", maxSinks)
	case old == nil && len(c.writers)+len(c.others) >= maxListed:
		return nil, refuse("remove some: cspctl sink list", "there are %d sinks of all agents that share the list, and no more can be", maxListed)
	}
	next := slices.DeleteFunc(c.writers, func(w *writer) bool { return w == old })
	w := newWriter(e)
	w.at = at
	next = append(next, w)
	if bad := s.write(next, c.others); bad != nil {
		return nil, bad
	}
	if old != nil {
		old.stop()
		w.after = old.ended
	}
	s.replace(next)
	return w, nil
}

// resolved is the path of a file without symbolic links in its folder; as it is,
// where that folder is not there.
func resolved(file string) string {
	dir, err := filepath.EvalSymlinks(filepath.Dir(file))
	if err != nil {
		return file
	}
	return filepath.Join(dir, filepath.Base(file))
}

// usable returns an error unless there are sinks to be listed and changed.
func (s *Sinks) usable() *ipc.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed || s.agent == nil:
		return &ipc.Error{Code: ipc.CodeBusy, Message: "the agent is ending", Hint: "try again"}
	case s.bad != nil:
		return s.bad
	}
	return nil
}

// replace puts a list in force, and starts the writers that are new in it.
func (s *Sinks) replace(list []*writer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writers = list
	for _, w := range list {
		if w.stop == nil {
			s.launch(w)
		}
	}
}

var errNoSink = &ipc.Error{Code: ipc.CodeNotFound, Message: "there is no such sink", Hint: "cspctl sink list"}

// Remove ends the sink of a file, or, where that is empty, all of a profile. It
// waits until the files are gone, for settleTime at most.
func (s *Sinks) Remove(ctx context.Context, profile, file string) ([]ipc.Sink, error) {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	gone, bad := s.remove(ctx, func(w *writer) bool {
		return file != "" && w.File == file || file == "" && profile != "" && w.Profile == profile
	})
	if bad == nil && len(gone) == 0 && file != "" {
		return s.removeLeft(ctx, file)
	}
	if bad != nil {
		return nil, bad
	}
	if len(gone) == 0 {
		return nil, errNoSink
	}
	var list []ipc.Sink
	for _, w := range gone {
		select {
		case <-w.ended:
		case <-ctx.Done():
		}
		list = append(list, w.shown())
	}
	return list, nil
}

// removeLeft ends a sink of an agent that is not there any more.
func (s *Sinks) removeLeft(ctx context.Context, file string) ([]ipc.Sink, error) {
	c, bad := s.begin(ctx)
	if bad != nil {
		return nil, bad
	}
	defer c.finish()
	i := slices.IndexFunc(c.others, func(o entry) bool { return o.File == file && o.Socket != s.Socket && !s.Listens(o.Socket) })
	if i < 0 {
		return nil, errNoSink
	}
	left := newWriter(c.others[i])
	if bad := s.write(c.writers, slices.Delete(c.others, i, i+1)); bad != nil {
		return nil, bad
	}
	s.clear(left) // after kill -9 there may be a token in it
	return []ipc.Sink{left.shown()}, nil
}

func (s *Sinks) remove(ctx context.Context, which func(*writer) bool) (gone []*writer, _ *ipc.Error) {
	c, bad := s.begin(ctx)
	if bad != nil {
		return nil, bad
	}
	defer c.finish()
	var stay []*writer
	for _, w := range c.writers {
		if which(w) {
			gone = append(gone, w)
		} else {
			stay = append(stay, w)
		}
	}
	if len(gone) == 0 {
		return nil, nil
	}
	if bad := s.write(stay, c.others); bad != nil {
		return nil, bad
	}
	s.replace(stay)
	for _, w := range gone {
		w.stop()
	}
	return gone, nil
}

// Renamed has the sinks of a profile follow it. Their files stay where readers
// look for them.
func (s *Sinks) Renamed(from, to string) {
	s.settled(func(ctx context.Context) { s.rename(ctx, from, to) })
}

func (s *Sinks) rename(ctx context.Context, from, to string) {
	c, bad := s.begin(ctx)
	if bad == nil {
		defer c.finish()
	}
	var next, old []*writer
	for _, w := range c.writers {
		if w.Profile == from {
			old = append(old, w)
			e := w.entry
			e.Profile = to
			w = newWriter(e)
			w.after = old[len(old)-1].ended
		}
		next = append(next, w)
	}
	if bad == nil && len(old) > 0 {
		bad = s.write(next, c.others)
	}
	if bad != nil {
		s.Log.Error("the sinks of a renamed profile could not follow it", "profile", from, "err", bad)
		return
	}
	for _, w := range old {
		w.stop()
	}
	s.replace(next)
}

// Removed ends the sinks of a profile that is no more.
func (s *Sinks) Removed(profile string) {
	s.settled(func(ctx context.Context) {
		gone, bad := s.remove(ctx, func(w *writer) bool { return w.Profile == profile })
		if bad != nil {
			s.Log.Error("the sinks of a removed profile could not be removed", "profile", profile, "err", bad)
		}
		for _, w := range gone {
			<-w.ended
		}
	})
}
