package standin

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/loopback"
)

// The bounds of runs: each has a port of its own.
const (
	maxRuns       = 256
	maxRunsPerUID = 32
)

// Runs are the runs of an agent. The zero value has none.
type Runs struct {
	Log *slog.Logger // nil: slog.Default

	mu     sync.Mutex
	runs   map[*Run]struct{}
	closed bool
}

// Run is one run. It is over when its holder closes it, or when Done is closed.
type Run struct {
	ipc.Run
	holder Holder
	runs   *Runs
	log    *slog.Logger

	server   *http.Server
	listener net.Listener
	timer    *time.Timer
	cancel   context.CancelFunc // of the requests under way

	mu   sync.Mutex
	said map[string]int // what was turned away, by its reason
	end  *ipc.RunEnd    // why the agent ended it; nil if it did not
	over bool
	done chan struct{}
}

// Start makes a run. Its errors are of type *ipc.Error.
func (r *Runs) Start(req ipc.RunRequest, h Holder) (*Run, error) {
	now := time.Now()
	t, bad := r.ticket(req, h, now)
	if bad != nil {
		return nil, bad
	}
	run := &Run{holder: h, runs: r, log: r.log(), done: make(chan struct{})}
	if err := run.open(&t); err != nil {
		if req.Again.IsZero() {
			return nil, &ipc.Error{Code: ipc.CodeInternal, Message: "no port on loopback can be served: " + err.Error()}
		}
		return nil, &ipc.Error{Code: ipc.CodeBusy, Message: "the port of the run, " + strconv.Itoa(t.Port) + ", can't be had again: " + err.Error(), Hint: "start the program again with cspctl exec"}
	}
	if bad := r.admit(run); bad != nil {
		run.Close()
		return nil, bad
	}
	run.limit(t.EndsAt.Sub(now)) // not before it can be found: its end takes it out again
	go run.serve()
	return run, nil
}

// ticket is what a run is made from: a new one, or the one that the holder brings.
func (r *Runs) ticket(req ipc.RunRequest, h Holder, now time.Time) (ticket, *ipc.Error) {
	if !req.Again.IsZero() {
		return readTicket(req.Again.Reveal(), h, now)
	}
	life, bad := lifetime(req.Lifetime)
	if bad != nil {
		return ticket{}, bad
	}
	t := ticket{Profile: h.Profile, Server: h.Server, Org: h.Org, EndsAt: now.Add(max(life, time.Second)).UTC().Truncate(time.Second)}
	t.StandIn.Text = newStandIn()
	if req.TLS {
		c, err := loopback.NewCertificates(now, life)
		if err != nil {
			return ticket{}, &ipc.Error{Code: ipc.CodeInternal, Message: "no certificate can be made: " + err.Error()}
		}
		t.CA, t.Cert = c.CA, c.Cert
		t.Key.Text = secretOf(c.Key)
	}
	return t, nil
}

// limit ends the run after a time.
func (run *Run) limit(d time.Duration) {
	run.mu.Lock()
	defer run.mu.Unlock()
	if !run.over {
		run.timer = time.AfterFunc(d, func() { run.stop(ipc.RunEndedTime, "its time is over") })
	}
}

// admit makes room for a run.
func (r *Runs) admit(run *Run) *ipc.Error {
	r.mu.Lock()
	defer r.mu.Unlock()
	own := 0
	for other := range r.runs {
		if other.StandIn.Text.Equal(run.StandIn.Text) {
			return &ipc.Error{Code: ipc.CodeBusy, Message: "that run goes on already", Hint: "start the program again with cspctl exec"}
		}
		if other.holder.UID == run.holder.UID {
			own++
		}
	}
	switch {
	case r.closed:
		return &ipc.Error{Code: ipc.CodeBusy, Message: "the agent is about to end", Hint: "try again", Retry: 1}
	case own >= maxRunsPerUID || len(r.runs) >= maxRuns:
		return &ipc.Error{Code: ipc.CodeBusy, Message: "too many programs run with a stand-in at once", Hint: "wait for one of them to end"}
	}
	if r.runs == nil {
		r.runs = map[*Run]struct{}{}
	}
	r.runs[run] = struct{}{}
	return nil
}

// open makes the run from its ticket, and listens.
func (run *Run) open(t *ticket) error {
	run.ID, run.Profile, run.StandIn, run.EndsAt = newID(), t.Profile, t.StandIn, t.EndsAt
	l, err := (&net.ListenConfig{Control: shared}).Listen(context.Background(), "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(t.Port)))
	if err != nil {
		return err
	}
	t.Port = l.Addr().(*net.TCPAddr).Port
	run.HostPort = l.Addr().String()
	run.URL = "http://" + run.HostPort
	run.listener = newDoor(l, func(c net.Conn) error { return loopback.BelongsTo(c, run.holder.UID) }, run.turnedAway)
	if t.tls() {
		c, err := t.certificates().ServerConfig()
		if err != nil {
			_ = run.listener.Close()
			return err
		}
		run.URL, run.CA = "https://"+run.HostPort, string(t.CA)
		run.listener = tls.NewListener(run.listener, c)
	}
	run.Again = t.text()
	ctx, cancel := context.WithCancel(context.Background())
	run.cancel = cancel
	run.server = &http.Server{
		Handler:           newEndpoint(run),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 20 * time.Second, WriteTimeout: 2 * time.Minute,
		MaxHeaderBytes: ipc.MaxHeader,
		ErrorLog:       slog.NewLogLogger(run.log.Handler(), slog.LevelDebug),
	}
	// A connection that idles would keep the place of one that asks.
	run.server.SetKeepAlivesEnabled(false)
	return nil
}

func (run *Run) serve() {
	if err := run.server.Serve(run.listener); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		run.log.Error("a local endpoint is not served any more", "run", run.ID, "err", err)
	}
}

// turnedAway puts on record whom the door did not let in.
func (run *Run) turnedAway(why error) {
	if errors.Is(why, loopback.ErrOther) {
		run.refused(ReasonOtherUser)
		return
	}
	run.log.Debug("a connection to a local endpoint is nobody's", "run", run.ID, "err", why)
	run.refused(ReasonNoPeer)
}

// Done is closed when the run is over.
func (run *Run) Done() <-chan struct{} { return run.done }

// End tells why the agent ended the run; nil if it did not.
func (run *Run) End() *ipc.RunEnd {
	run.mu.Lock()
	defer run.mu.Unlock()
	return run.end
}

// Close ends the run: the holder is gone.
func (run *Run) Close() { run.finish(nil) }

// stop ends the run for a reason of the agent's.
func (run *Run) stop(why, message string) {
	run.finish(&ipc.RunEnd{Ended: why, Message: "the stand-in for profile " + run.Profile + " is worth nothing any more: " + message})
}

// Withdraw ends a run whose holder may not have tokens of the profile any more.
func (run *Run) Withdraw() { run.stop(ipc.RunEndedGrant, "the profile is not for this user any more") }

func (run *Run) finish(end *ipc.RunEnd) {
	run.mu.Lock()
	defer run.mu.Unlock()
	if run.over {
		return
	}
	run.over, run.end = true, end
	run.runs.mu.Lock()
	delete(run.runs.runs, run)
	run.runs.mu.Unlock()
	for reason, n := range run.said {
		if n > 1 {
			run.log.Warn("a local endpoint turned requests away", "run", run.ID, "profile", run.Profile, "reason", reason, "times", n)
		}
	}
	if run.timer != nil {
		run.timer.Stop()
	}
	run.cancel()
	_ = run.listener.Close()
	// Closing TLS connections waits for clients that read nothing, and whoever
	// locks the agent does not.
	go func() { _ = run.server.Close() }()
	close(run.done)
}

// isOver reports whether the stand-in is worth nothing any more. The timer
// stands still while the machine sleeps; the clock does not.
func (run *Run) isOver() bool {
	run.mu.Lock()
	defer run.mu.Unlock()
	return run.over || time.Now().Round(0).After(run.EndsAt)
}

// Publish ends the runs that an event concerns.
func (r *Runs) Publish(e ipc.Event) {
	for _, run := range r.list() {
		switch {
		case e.Type == ipc.EventLocked:
			run.stop(ipc.RunEndedLock, "the agent is locked")
		case e.Type == ipc.EventLogout && e.Profile == run.Profile:
			run.stop(ipc.RunEndedLogout, "the profile was logged out")
		case e.Type == ipc.EventLogin && e.Profile == run.Profile && (e.Org != run.holder.Org || e.Server != run.holder.Server):
			run.stop(ipc.RunEndedLogout, "the profile is of another organization now")
		}
	}
}

// Renamed ends the runs of a profile whose name is free for others now.
func (r *Runs) Renamed(profile string) {
	for _, run := range r.list() {
		if run.Profile == profile {
			run.stop(ipc.RunEndedLogout, "the profile has another name")
		}
	}
}

func (r *Runs) list() []*Run {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]*Run, 0, len(r.runs))
	for run := range r.runs {
		list = append(list, run)
	}
	return list
}

// Close ends all runs as the end of the agent does: their holders can have them
// made again by the next one.
func (r *Runs) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	for _, run := range r.list() {
		run.Close()
	}
}

func (r *Runs) log() *slog.Logger {
	if r.Log == nil {
		return slog.Default()
	}
	return r.Log
}
