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

// File keeps the list of sinks across restarts; it holds no secret.
type File interface {
	Path() string
	Lock(context.Context) (unlock func(), err error) // against other agents that change it
	Read() ([]byte, error)                           // nil if there is none yet
	Write([]byte) error                              // atomic and durable
}

// Options are the parts of a Sinks. All are needed, but for Folder and Log.
type Options struct {
	File   File
	Socket string // the agent's: of several agents with one list, each has its own sinks
	// Listens reports whether an agent is there at a socket.
	Listens func(socket string) bool
	Folder  string          // the agent's own for tokens, absolute; it is made with mode 0700. Empty: there is none
	Dirs    func() []string // further ones, by the settings
	// Now tells the wall clock, and the time since boot with suspends.
	Now func() (time.Time, time.Duration)
	Log *slog.Logger
}

// maxSinks bounds what one user can have the agent do.
const maxSinks = 100

// maxListed bounds the list, which may have those of several agents.
const maxListed = 10 * maxSinks

// Sinks are all sinks of an agent. Its methods may be called at the same time.
type Sinks struct {
	Options

	changing chan struct{} // has room for one: whoever changes the list, across the disk

	mu      sync.Mutex // held for moments
	agent   Agent      // nil before Start
	closed  bool
	bad     *ipc.Error // the list could not be used
	writers []*writer
	ctx     context.Context
	cancel  context.CancelFunc
}

// New reads the list. One that can't be used is an error of whoever asks for it,
// and keeps no agent from running.
func New(o Options) *Sinks {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Sinks{Options: o, changing: make(chan struct{}, 1)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	listed, bad := s.read()
	if s.bad = bad; bad != nil {
		s.Log.Error("the list of sinks can't be used", "path", o.File.Path(), "err", bad)
	}
	for _, e := range listed {
		if e.Socket == s.Socket {
			s.writers = append(s.writers, newWriter(e))
		}
	}
	return s
}

// Start begins to write. Each writer removes first what an earlier agent left.
func (s *Sinks) Start(a Agent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.agent = a
	for _, w := range s.writers {
		s.launch(w)
	}
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
	if s.agent == nil {
		writers = nil
	}
	s.mu.Unlock()
	for _, w := range writers {
		select {
		case <-w.ended:
		case <-ctx.Done():
			s.Log.Error("a file with a token may be left", "file", w.File)
		}
	}
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

// Own returns the sinks of this agent, sorted by file.
func (s *Sinks) Own() []ipc.Sink {
	list := []ipc.Sink{}
	s.each("", func(w *writer) { list = append(list, w.shown()) })
	sortByFile(list)
	return list
}

// List returns them, and those of agents that are not there any more: they can be
// taken over, and removed.
func (s *Sinks) List() ([]ipc.Sink, error) {
	if bad := s.usable(); bad != nil {
		return nil, bad
	}
	listed, bad := s.read()
	if bad != nil {
		return nil, bad
	}
	list, listens := s.Own(), map[string]bool{s.Socket: true}
	for _, e := range listed {
		there, asked := listens[e.Socket]
		if !asked {
			there = s.Listens(e.Socket)
			listens[e.Socket] = there
		}
		if !there {
			left := newWriter(e).shown()
			left.Error = &ipc.Error{Code: ipc.CodeState, Message: "it is of the agent at " + e.Socket + ", which is not there",
				Hint: "cspctl sink add takes it over, cspctl sink remove ends it"}
			list = append(list, left)
		}
	}
	sortByFile(list)
	return list, nil
}

func sortByFile(list []ipc.Sink) {
	slices.SortFunc(list, func(a, b ipc.Sink) int { return strings.Compare(a.File, b.File) })
}
