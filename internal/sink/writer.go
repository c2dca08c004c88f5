package sink

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/cspctl/cspctl/internal/atomicfile"
	"github.com/cspctl/cspctl/internal/ipc"
)

const (
	lookTime = 30 * time.Second // between two looks at a file that is as it should be
	waitTime = time.Minute      // for an exchange
	longTime = 2 * time.Second  // for one, with a token of another secret in the file
	maxPause = time.Minute      // between two tries
	// slack is how much before its end a file is removed: timers are late, and
	// readers need a moment.
	slack   = 500 * time.Millisecond
	maxFile = 64 << 10 // of a file that is compared
)

// writer is one sink.
type writer struct {
	entry
	ctx   context.Context
	stop  context.CancelFunc
	wake  chan struct{}
	ended chan struct{}
	after <-chan struct{} // the end of who wrote the file before; may be nil

	at    string // the file without symbolic links, as it was found last; the goroutine's own after launch
	fails int    // in a row; the goroutine's own

	mu      sync.Mutex // for what follows
	drop    bool       // the file is to be removed at once
	asking  context.CancelFunc
	another bool // the token in the file is of the secret before a login
	looks   int
	changed chan struct{} // closed at the next change of drop and looks
	there   bool          // the file has a token
	wall    time.Time     // when the file is to be removed, by either clock
	boot    time.Duration
	expires time.Time
	bad     *ipc.Error
}

func newWriter(e entry) *writer {
	return &writer{entry: e, wake: make(chan struct{}, 1), ended: make(chan struct{}), changed: make(chan struct{})}
}

func (w *writer) rouse(drop bool) {
	w.mu.Lock()
	if drop {
		w.drop = true
		if w.asking != nil {
			w.asking()
		}
	}
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// await waits for a condition on what mu guards, until ctx or the writer ends.
func (w *writer) await(ctx context.Context, done func() bool) {
	for {
		w.mu.Lock()
		ok, changed := done(), w.changed
		w.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-w.ended:
			return
		case <-ctx.Done():
			return
		}
	}
}

// update changes what mu guards.
func (w *writer) update(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
	close(w.changed)
	w.changed = make(chan struct{})
}

// is reports whether the writer's file was found at a path.
func (w *writer) is(at string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at == at
}

func (w *writer) isThere() bool   { w.mu.Lock(); defer w.mu.Unlock(); return w.there }
func (w *writer) isAnother() bool { w.mu.Lock(); defer w.mu.Unlock(); return w.another }

func (w *writer) overdue(wall time.Time, boot time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.there && (!wall.Before(w.wall) || boot >= w.boot)
}

func (w *writer) shown() ipc.Sink {
	w.mu.Lock()
	defer w.mu.Unlock()
	sink := ipc.Sink{Profile: w.Profile, Format: w.Format, File: w.File, Mode: fmt.Sprintf("%04o", w.Mode), Fresh: w.there, Error: w.bad}
	if w.there {
		sink.ExpiresAt = w.expires
	}
	return sink
}

// run looks after the file until the writer is stopped.
func (s *Sinks) run(w *writer) {
	defer close(w.ended)
	if w.after != nil {
		<-w.after
	}
	// What an earlier agent left may be dead, and who knows whose it was.
	s.clear(w)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-w.ctx.Done():
			s.clear(w)
			return
		case <-w.wake:
		case <-timer.C:
		}
		if w.ctx.Err() != nil {
			continue
		}
		next := s.look(w)
		w.update(func() { w.looks++ })
		timer.Reset(next)
	}
}

// look brings the file into order, and returns how long it will be.
func (s *Sinks) look(w *writer) time.Duration {
	wall, boot := s.Now()
	w.mu.Lock()
	drop := w.drop
	w.mu.Unlock()
	if drop || w.overdue(wall, boot) {
		s.clear(w)
		w.update(func() { w.drop = false })
	}
	at, bad := s.place(w.File)
	if bad != nil {
		s.clear(w)
		return s.failed(w, bad)
	}
	if w.at != "" && w.at != at { // a link in its path has another end now
		if w.isThere() {
			s.clear(w)
		}
		if exists(at) {
			return s.failed(w, refuse("remove it", "there is a file %s already", at))
		}
	}
	w.update(func() { w.at = at })
	t, bad := s.ask(w, boot)
	if bad != nil {
		if wall, boot = s.Now(); !passing(bad) || w.overdue(wall, boot) {
			s.clear(w)
		}
		return s.failed(w, bad)
	}
	content, bad := form(w.Format, t)
	switch {
	case bad != nil:
	case t.ExpiresAt.IsZero():
		bad = &ipc.Error{Code: ipc.CodeMinTTL, Message: "the server does not say how long its tokens live, so no file can be kept fresh"}
	case t.GoodFor <= slack:
		s.clear(w)
		return slack // by then the agent has another one, or says why not
	}
	if bad != nil {
		s.clear(w)
		return s.failed(w, bad)
	}
	if !w.holds(content) {
		if err := atomicfile.WriteMode(at, content, w.Mode); err != nil {
			bad := trouble("the file %s can't be written: %v", w.File, reason(err))
			if errors.Is(err, syscall.EROFS) { // so does the sandbox of a service
				bad.Hint = "csp-agent install opens the service's sandbox to the folders of the settings; then: csp-agent restart"
			}
			if w.isAnother() {
				s.clear(w)
			}
			return s.failed(w, bad)
		}
	}
	left := t.GoodFor - slack
	w.update(func() {
		w.there, w.another, w.expires = true, false, t.ExpiresAt
		w.wall, w.boot = wall.Add(left), boot+left
		if w.bad != nil {
			s.Log.Info("a sink is fresh again", "profile", w.Profile, "file", w.File)
		}
		w.bad = nil
	})
	w.fails = 0
	_, now := s.Now()
	if now-boot > time.Second {
		return 0 // it took long: the life is known better from the cache
	}
	return max(min(lookTime, left-(now-boot)), 0)
}

// ask asks the agent, as somebody who uses the profile does. With a file that is
// good, it asks no longer than that.
func (s *Sinks) ask(w *writer, boot time.Duration) (ipc.Token, *ipc.Error) {
	limit := waitTime
	w.mu.Lock()
	if w.there {
		limit = min(limit, w.boot-boot)
	}
	if w.another {
		limit = min(limit, longTime)
	}
	ctx, cancel := context.WithTimeout(w.ctx, limit)
	w.asking = cancel
	if w.drop {
		cancel()
	}
	w.mu.Unlock()
	defer cancel()
	t, err := s.agent.Token(ctx, ipc.TokenRequest{Profile: w.Profile, Warnings: ipc.WarningsOff})
	if err != nil {
		return t, wire(err)
	}
	return t, nil
}

// passing reports whether an error says nothing about the token in a file.
func passing(e *ipc.Error) bool { return e.Code == ipc.CodeBusy || e.Code == ipc.CodeState }

// failed notes what is wrong, once in the log, and returns how long to wait.
func (s *Sinks) failed(w *writer, bad *ipc.Error) time.Duration {
	w.mu.Lock()
	again := w.drop || w.ctx.Err() != nil
	w.mu.Unlock()
	if again {
		return 0 // it may well be for that
	}
	w.update(func() {
		if w.bad == nil || w.bad.Code != bad.Code {
			s.Log.Warn("a sink is not fresh", "profile", w.Profile, "file", w.File, "code", bad.Code, "err", bad.Message)
		}
		w.bad = bad
	})
	w.fails++
	pause := min(time.Second<<min(w.fails-1, 10), maxPause)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch wall, boot := s.Now(); {
	case w.drop:
		return 0
	case w.there:
		pause = max(min(pause, w.boot-boot, w.wall.Sub(wall)), 0)
	}
	return pause
}

// holds reports whether the file is there, with that content and mode.
func (w *writer) holds(content []byte) bool {
	info, err := os.Lstat(w.at)
	if err != nil || !info.Mode().IsRegular() || groups && info.Mode().Perm() != w.Mode || info.Size() > maxFile {
		return false
	}
	b, err := os.ReadFile(w.at)
	return err == nil && bytes.Equal(b, content)
}

// clear removes the file, and what a writer that was killed left beside it. What
// is no regular file, or in a folder that others can write to, is not touched.
func (s *Sinks) clear(w *writer) {
	at := cmp.Or(w.at, resolved(w.File))
	var err error
	if err = checkFolder(filepath.Dir(at)); err == nil {
		var info os.FileInfo
		if info, err = os.Lstat(at); err == nil && info.Mode().IsRegular() {
			err = os.Remove(at)
		}
		atomicfile.Sweep(at)
	}
	if err != nil && !os.IsNotExist(err) {
		s.Log.Error("a file with a token could not be removed", "file", w.File, "err", err)
	}
	w.update(func() { w.there, w.another = false, false })
}

// reason is an error without the names of temporary files.
func reason(err error) error {
	if e, ok := errors.AsType[*os.PathError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return e.Err
	}
	return err
}
