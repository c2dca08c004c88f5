// Package sink keeps files filled with access tokens that are good, for readers
// that start no process: a shell's read, curl -H @FILE.
//
// Each sink has a goroutine. It writes the file when the agent has a new token,
// looks after it in between, and removes it before the token in it has less life
// left than the default floor, and when the agent is locked or ends. A disk that
// hangs holds up that one goroutine, and further changes of the list, which are
// refused then; nothing else waits for long.
package sink

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
)

// Agent is what a Sinks needs of the agent. Errors are of type *ipc.Error.
type Agent interface {
	Token(ctx context.Context, req ipc.TokenRequest) (ipc.Token, error)
	Profile(name string) (ipc.Profile, error)
}

// File keeps the list of sinks across restarts; it holds no secret. It is one
// agent's at a time, and so are the files in it.
type File interface {
	Path() string
	Hold() (bool, error) // false: another agent has it
	Release()
	Read() ([]byte, error) // nil if there is none yet
	Write([]byte) error    // atomic and durable
}

// Options are the parts of a Sinks. All are needed, but for Log.
type Options struct {
	File   File
	Folder string          // the agent's own for tokens, absolute; it is made with mode 0700. Empty: there is none
	Dirs   func() []string // further ones, by the settings
	// Now tells the wall clock, and the time since boot with suspends.
	Now func() (time.Time, time.Duration)
	Log *slog.Logger
}

// maxSinks bounds what one user can have the agent do.
const maxSinks = 100

// Sinks are all sinks of an agent. Its methods may be called at the same time.
type Sinks struct {
	Options

	changing chan struct{} // has room for one: whoever changes the list, across the disk

	mu      sync.Mutex // held for moments
	agent   Agent      // nil before Start
	closed  bool
	bad     *ipc.Error // the list can't be used
	writers []*writer
	ctx     context.Context
	cancel  context.CancelFunc
}

// New does nothing yet: see Start.
func New(o Options) *Sinks {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Sinks{Options: o, changing: make(chan struct{}, 1)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// takeOverTime is the time between two looks at whether another agent has ended.
const takeOverTime = time.Second

// Start reads the list and begins to write. Each writer removes first what an
// earlier agent left. While another agent has the list, Start returns, and that
// begins when the other has ended. A list that can't be used is an error of
// whoever asks for it, and keeps no agent from running.
func (s *Sinks) Start(a Agent) {
	s.mu.Lock()
	s.agent = a
	s.mu.Unlock()
	if s.take() {
		return
	}
	s.Log.Warn("another agent of this user keeps the files with tokens", "list", s.File.Path())
	go func() {
		for again := time.NewTicker(takeOverTime); ; {
			select {
			case <-again.C:
				if s.take() {
					return
				}
			case <-s.ctx.Done():
				return
			}
		}
	}()
}

// take reads the list and begins to write, unless another agent has it.
func (s *Sinks) take() bool {
	if s.begin(s.ctx) != nil {
		return true // it is the end
	}
	defer s.finish()
	held, err := s.File.Hold()
	var list []entry
	bad := errOther
	switch {
	case err != nil:
		bad = s.unusable(err)
	case held:
		list, bad = s.read()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed && held:
		s.File.Release()
		return true
	case bad != nil && bad != errOther:
		s.Log.Error("the list of sinks can't be used", "path", s.File.Path(), "err", bad)
	}
	s.bad = bad
	for _, e := range list {
		w := newWriter(e)
		s.writers = append(s.writers, w)
		s.launch(w)
	}
	return bad != errOther
}

func (s *Sinks) launch(w *writer) {
	w.ctx, w.stop = context.WithCancel(s.ctx)
	go s.run(w)
}

// Close removes every file and waits for that until ctx ends.
func (s *Sinks) Close(ctx context.Context) {
	s.mu.Lock()
	s.closed = true
	s.cancel()
	writers := s.writers
	s.mu.Unlock()
	for _, w := range writers {
		select {
		case <-w.ended:
		case <-ctx.Done():
			s.Log.Error("a file with a token may be left", "file", w.File)
		}
	}
	s.File.Release()
}

// Observe hears of what happens to profiles. It does not wait.
func (s *Sinks) Observe(e ipc.Event) {
	switch e.Type {
	case ipc.EventExchange:
		if e.Outcome == ipc.OutcomeGranted {
			s.each(e.Profile, func(w *writer) { w.rouse(false) })
		}
	case ipc.EventLogin:
		s.each(e.Profile, func(w *writer) {
			w.mu.Lock()
			w.another = w.there
			w.mu.Unlock()
			w.rouse(false)
		})
	case ipc.EventUnlocked:
		s.each(e.Profile, func(w *writer) { w.rouse(false) })
	case ipc.EventLogout, ipc.EventLocked:
		s.Drop(e.Profile)
	}
}

// Drop has the files of a profile removed, of all if it is empty. They come back
// if the agent gives tokens for them. It does not wait; see Settle.
func (s *Sinks) Drop(profile string) { s.each(profile, func(w *writer) { w.rouse(true) }) }

// Tick rouses what is due by a clock that no timer follows, as after a suspend.
// It is to be called each second.
func (s *Sinks) Tick() {
	wall, boot := s.Now()
	s.each("", func(w *writer) {
		if w.overdue(wall, boot) {
			w.rouse(true)
		}
	})
}

func (s *Sinks) each(profile string, f func(*writer)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.writers {
		if profile == "" || w.Profile == profile {
			f(w)
		}
	}
}

// settleTime bounds the wait for files to be removed.
const settleTime = 2 * time.Second

// Settle waits until the files that are to be removed are, for settleTime at
// most.
func (s *Sinks) Settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	var all []*writer
	s.each("", func(w *writer) { all = append(all, w) })
	for _, w := range all {
		w.await(ctx, func() bool { return !w.drop })
	}
}

// List returns all sinks, sorted by file.
func (s *Sinks) List() ([]ipc.Sink, error) {
	if _, bad := s.present(); bad != nil {
		return nil, bad
	}
	list := []ipc.Sink{}
	s.each("", func(w *writer) { list = append(list, w.shown()) })
	slices.SortFunc(list, func(a, b ipc.Sink) int { return strings.Compare(a.File, b.File) })
	return list, nil
}
