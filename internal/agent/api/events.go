package api

import (
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/ipc/listen"
)

// Events hands what happens to those who read GET /v1/events. A reader who is
// slower than the events misses some, and is told how many.
type Events struct {
	mu      sync.Mutex
	readers map[*reader]struct{}
	closed  chan struct{}
	over    bool
}

const (
	maxOwners    = 64  // readers on the owner's sockets
	maxObservers = 48  // on all others together
	maxObserver  = 16  // of those, of one user
	maxWaiting   = 256 // events for one reader
	// heartbeat is how often an empty line tells a reader that the agent lives,
	// and the agent that the reader does.
	heartbeat = 30 * time.Second
	// eventTime bounds the writing of one line.
	eventTime = 10 * time.Second
)

// NewEvents returns events without a reader.
func NewEvents() *Events {
	return &Events{readers: map[*reader]struct{}{}, closed: make(chan struct{})}
}

// reader is one connection.
type reader struct {
	role Role   // of its socket
	uid  uint32 // of its user

	types    []string // empty: all
	profiles []string // empty: all
	wake     chan struct{}

	mu      sync.Mutex
	waiting []ipc.Event
	lost    int // since the last in waiting
}

// Publish tells all readers. It never waits for one.
func (e *Events) Publish(v ipc.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for r := range e.readers {
		r.put(v)
	}
}

// Close ends every stream, so that the server can stop.
func (e *Events) Close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.over {
		e.over = true
		close(e.closed)
	}
}

// join adds a reader if there is room. Observers can't take the owner's, nor
// one of them all of theirs.
func (e *Events) join(r *reader) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	role, user := 0, 0
	for other := range e.readers {
		if other.role == r.role {
			role++
			if other.uid == r.uid {
				user++
			}
		}
	}
	if r.role == Owner && role >= maxOwners || r.role != Owner && (role >= maxObservers || user >= maxObserver) {
		return false
	}
	e.readers[r] = struct{}{}
	return true
}

func (e *Events) leave(r *reader) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.readers, r)
}

func (r *reader) put(v ipc.Event) {
	if len(r.types) > 0 && !slices.Contains(r.types, v.Type) || len(r.profiles) > 0 && !slices.Contains(r.profiles, v.Profile) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) == maxWaiting {
		r.lost++
		return
	}
	r.waiting = append(r.waiting, v)
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// take returns what waits, with the loss behind it, if there was one.
func (r *reader) take() []ipc.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.waiting
	if r.lost > 0 {
		list = append(list, ipc.Event{Schema: ipc.EventSchema, Type: ipc.EventLost,
			Time: time.Now().UTC().Truncate(time.Second), Lost: r.lost})
	}
	r.waiting, r.lost = nil, 0
	return list
}

// events streams what happens from now on, one JSON object a line.
func events(s *Server, c *call) (any, error) {
	if s.Events == nil {
		return nil, &ipc.Error{Code: ipc.CodeNotFound, Message: "this agent has no events"}
	}
	q := c.URL.Query()
	r := &reader{role: s.Role, uid: c.peer.UID, types: q["type"], profiles: q["profile"], wake: make(chan struct{}, 1)}
	for _, name := range r.profiles {
		if bad := ipc.CheckName(name); bad != nil {
			return nil, bad
		}
	}
	if !s.Events.join(r) {
		s.refused(c.Request, ipc.RefusedBusy)
		return nil, &ipc.Error{Code: ipc.CodeBusy, Message: "too many clients read the events", Hint: "end one of them"}
	}
	return stream(func(w http.ResponseWriter) {
		defer s.Events.leave(r)
		write := lineWriter(w)
		beat := time.NewTicker(heartbeat)
		defer beat.Stop()
		if !write(nil) { // so that the reader knows that it listens
			return
		}
		for {
			select {
			case <-c.Context().Done():
				return
			case <-s.Events.closed:
				return
			case <-beat.C:
				if !listen.StillAdmitted(c.Context()) || !write(nil) {
					return
				}
			case <-r.wake:
				for _, v := range r.take() {
					if s.Role == Observe && v.Type == ipc.EventExchange {
						v.Message = "" // as in the status: its code is enough
					}
					if b, err := json.Marshal(v); err != nil || !write(b) {
						return
					}
				}
			}
		}
	}), nil
}

// lineWriter begins an answer of one JSON object a line that has no end of its
// own, and returns what writes a line of it. That reports false once the reader
// is gone.
func lineWriter(w http.ResponseWriter) func(line []byte) bool {
	h := w.Header()
	h.Set("Content-Type", "application/x-ndjson")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	return func(line []byte) bool {
		rc := http.NewResponseController(w)
		_ = rc.SetWriteDeadline(time.Now().Add(eventTime)) // where there is none, the server's holds
		_, err := w.Write(append(line, '\n'))
		return err == nil && rc.Flush() == nil
	}
}
