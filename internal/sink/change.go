package sink

import (
	"context"
	"path/filepath"
	"slices"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
)

// addTime is how long Add waits for the file to be there.
const addTime = 5 * time.Second

// begin waits until nobody else changes the list, and for as long as ctx lasts.
// After a nil, finish is to be called.
func (s *Sinks) begin(ctx context.Context) *ipc.Error {
	select {
	case s.changing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return &ipc.Error{Code: ipc.CodeBusy, Message: "another change of the sinks is not done yet, perhaps on a disk that hangs", Hint: "try again; else: csp-agent restart"}
	}
}

func (s *Sinks) finish() { <-s.changing }

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
	e := entry{Profile: req.Profile, Format: req.Format, File: req.File, Mode: mode}
	switch e.Format {
	case "":
		e.Format = ipc.SinkRaw
	case ipc.SinkRaw, ipc.SinkJSON, ipc.SinkHeader, ipc.SinkBearer:
	default:
		return nil, refuse("formats are raw, json, header and bearer", "there is no such format")
	}
	if bad := s.begin(ctx); bad != nil {
		return nil, bad
	}
	defer s.finish()
	writers, bad := s.present()
	if bad != nil {
		return nil, bad
	}
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
	var old *writer
	for _, w := range writers {
		if w.File == e.File || w.is(at) {
			old = w
		}
	}
	switch {
	case old != nil && old.entry == e:
		return old, nil
	case old != nil && old.Profile != e.Profile:
		return nil, refuse("choose another --file, or: cspctl sink remove "+old.File, "the file is a sink of profile %s", old.Profile)
	case old == nil && exists(at):
		return nil, refuse("remove it, or choose another --file", "there is a file %s already", e.File)
	case old == nil && len(writers) >= maxSinks:
		return nil, refuse("remove some: cspctl sink list", "there are %d sinks, and no more can be", maxSinks)
	}
	next := slices.DeleteFunc(writers, func(w *writer) bool { return w == old })
	w := newWriter(e)
	w.at = at
	next = append(next, w)
	if bad := s.write(next); bad != nil {
		return nil, bad
	}
	if old != nil {
		old.stop()
		w.after = old.ended
	}
	s.replace(next)
	return w, nil
}

// present returns a copy of the list, for who holds changing.
func (s *Sinks) present() ([]*writer, *ipc.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed || s.agent == nil:
		return nil, &ipc.Error{Code: ipc.CodeBusy, Message: "the agent is ending", Hint: "try again"}
	case s.bad != nil:
		return nil, s.bad
	}
	return slices.Clone(s.writers), nil
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

// Remove ends the sink of a file, or, where that is empty, all of a profile. It
// waits until the files are gone, for settleTime at most.
func (s *Sinks) Remove(ctx context.Context, profile, file string) ([]ipc.Sink, error) {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	gone, bad := s.remove(ctx, func(w *writer) bool {
		return file != "" && w.File == file || file == "" && profile != "" && w.Profile == profile
	})
	if bad != nil {
		return nil, bad
	}
	if len(gone) == 0 {
		return nil, &ipc.Error{Code: ipc.CodeNotFound, Message: "there is no such sink", Hint: "cspctl sink list"}
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

func (s *Sinks) remove(ctx context.Context, which func(*writer) bool) (gone []*writer, _ *ipc.Error) {
	if bad := s.begin(ctx); bad != nil {
		return nil, bad
	}
	defer s.finish()
	writers, bad := s.present()
	if bad != nil {
		return nil, bad
	}
	var stay []*writer
	for _, w := range writers {
		if which(w) {
			gone = append(gone, w)
		} else {
			stay = append(stay, w)
		}
	}
	if len(gone) == 0 {
		return nil, nil
	}
	if bad := s.write(stay); bad != nil {
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
	if s.begin(ctx) != nil {
		return // the agent is ending
	}
	defer s.finish()
	writers, bad := s.present()
	var next, old []*writer
	for _, w := range writers {
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
		bad = s.write(next)
	}
	if bad == errOther {
		return // whose files they are, finds out when it asks for the next token
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
		if bad != nil && bad != errOther {
			s.Log.Error("the sinks of a removed profile could not be removed", "profile", profile, "err", bad)
		}
		for _, w := range gone {
			<-w.ended
		}
	})
}
