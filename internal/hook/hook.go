// Package hook tells a command of the user's of events: each run of it gets
// one event, as a line of JSON on stdin.
package hook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/cspctl/cspctl/internal/agent/expiry"
	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/launch"
)

// Settings are what the user's settings say about the hook.
type Settings struct {
	Command []string      // empty: there is none
	Events  []string      // the types of ipc.Event to run it for
	Timeout time.Duration // of each run
}

// Runner runs programs; *launch.Launcher is one.
type Runner interface {
	Run(ctx context.Context, c launch.Command) error
}

// Options are what a Hook needs.
type Options struct {
	// Settings returns those in force. It is called for each event, and must
	// not wait.
	Settings func() Settings
	Runner   Runner
	Log      *slog.Logger
}

// Hook runs the command, once at a time and in the order of the events, but
// for warnings: they overtake what only informs. It is an expiry.Channel for
// warnings and takes other events by Publish.
type Hook struct {
	settings func() Settings
	runner   Runner
	log      *slog.Logger

	mu    sync.Mutex
	queue []*run
	lost  int           // since the last line of the log about it
	ended bool          // Run has returned
	wake  chan struct{} // holds a token if the queue is to be looked at
}

// maxEvents bounds the events that wait, besides the warnings: those of type
// ipc.EventCleared, and the others.
const maxEvents = 64

// run is one run of the command that waits for its turn.
type run struct {
	event ipc.Event
	ctx   context.Context // of who waits; nil: nobody does
	done  chan error      // holds one
}

// New returns a Hook. Nothing runs before Run does.
func New(o Options) *Hook {
	return &Hook{settings: o.Settings, runner: o.Runner, log: o.Log, wake: make(chan struct{}, 1)}
}

// errEnded: the agent ends.
var errEnded = errors.New("the agent is stopping")

// Name implements expiry.Channel.
func (h *Hook) Name() string { return "hook" }

// Announce implements expiry.Channel: it returns when the command has ended.
// Its error is expiry.ErrNobody where there is no command for warnings. There
// is no message that a later one could take the place of, so there are no refs.
func (h *Hook) Announce(ctx context.Context, w ipc.Event, _ string) (string, error) {
	if !h.wants(w.Type) {
		return "", expiry.ErrNobody
	}
	r := &run{event: w, ctx: ctx, done: make(chan error, 1)}
	if !h.put(r) {
		return "", errEnded
	}
	select {
	case err := <-r.done:
		return "", err
	case <-ctx.Done():
		// The limit of ctx is for the wait. A command that has its turn late has
		// its own time all the same: else one that takes long for an event would
		// have the next warning ended on its way, and told again.
		if !h.remove(r) && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return "", <-r.done
		}
		return "", ctx.Err()
	}
}

// Withdraw implements expiry.Channel. The command hears of it by the event of
// type ipc.EventCleared, which says more.
func (h *Hook) Withdraw(context.Context, string) {}

// Publish runs the command for an event that is no warning, if it is to be run
// for events of that type. It never waits; where the command is slower than the
// events, further ones are dropped, and the log says how many.
func (h *Hook) Publish(e ipc.Event) {
	if e.Type != ipc.EventWarning && h.wants(e.Type) {
		h.put(&run{event: e, done: make(chan error, 1)})
	}
}

func (h *Hook) wants(event string) bool {
	s := h.settings()
	return len(s.Command) > 0 && slices.Contains(s.Events, event)
}

// put adds to the queue, and returns false if nobody takes from it any longer.
func (h *Hook) put(r *run) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.ended:
		return false
	case r.ctx == nil && h.waiting(aboutWarnings(r)) >= maxEvents:
		h.lost++
	default:
		at := len(h.queue)
		// Before what only informs; behind what was said of warnings earlier.
		for aboutWarnings(r) && at > 0 && !aboutWarnings(h.queue[at-1]) {
			at--
		}
		h.queue = slices.Insert(h.queue, at, r)
	}
	select {
	case h.wake <- struct{}{}:
	default:
	}
	return true
}

// waiting returns how many runs of a kind are in the queue that nobody waits
// for. The caller holds mu.
func (h *Hook) waiting(warnings bool) int {
	n := 0
	for _, r := range h.queue {
		if r.ctx == nil && aboutWarnings(r) == warnings {
			n++
		}
	}
	return n
}

// remove takes a run that somebody gave up out of the queue, and returns false
// if it is not there any longer.
func (h *Hook) remove(r *run) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := slices.Index(h.queue, r)
	if at >= 0 {
		h.queue = slices.Delete(h.queue, at, at+1)
	}
	return at >= 0
}

func aboutWarnings(r *run) bool {
	return r.event.Type == ipc.EventWarning || r.event.Type == ipc.EventCleared
}

// take returns the next run, or nil.
func (h *Hook) take() *run {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lost > 0 {
		h.log.Warn("events are lost to the hook: it is slower than they come", "events", h.lost)
		h.lost = 0
	}
	if len(h.queue) == 0 {
		return nil
	}
	r := h.queue[0]
	h.queue = slices.Delete(h.queue, 0, 1)
	return r
}

// Run runs the command for events until ctx ends, which also ends the command.
// It is called once.
func (h *Hook) Run(ctx context.Context) {
	defer h.end()
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.wake:
		}
		for r := h.take(); r != nil; r = h.take() {
			if ctx.Err() != nil {
				r.done <- errEnded
				return
			}
			r.done <- h.run(ctx, r)
		}
	}
}

// end answers everybody who still waits.
func (h *Hook) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = true
	for _, r := range h.queue {
		r.done <- errEnded
	}
	h.queue = nil
}

// run runs the command once.
func (h *Hook) run(ctx context.Context, r *run) error {
	s := h.settings() // they may have changed since
	if len(s.Command) == 0 {
		return expiry.ErrNobody
	}
	if r.ctx != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(r.ctx, func() {
			if !errors.Is(r.ctx.Err(), context.DeadlineExceeded) { // which was for the wait
				cancel()
			}
		})()
	}
	var line bytes.Buffer // Encode ends it
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r.event); err != nil {
		return err
	}
	err := h.runner.Run(ctx, launch.Command{Argv: s.Command, Stdin: line.Bytes(), Timeout: s.Timeout})
	if err != nil && r.ctx == nil && ctx.Err() == nil { // else who waits tells of it
		stderr := ""
		if e, ok := errors.AsType[*launch.Error](err); ok {
			stderr = e.Stderr
		}
		h.log.Warn("the hook failed", "event", r.event.Type, "profile", r.event.Profile, "err", err, "stderr", stderr)
	}
	return err
}
