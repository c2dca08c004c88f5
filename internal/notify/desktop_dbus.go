//go:build unix && !darwin

package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/cspctl/cspctl/internal/agent/expiry"
	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/sessionbus"
)

// Desktop is an expiry.Channel that shows one notification for each profile.
// Its methods may be called at any time.
type Desktop struct {
	o         Options
	addresses []string // of the session bus, in the order to try
	patience  time.Duration
	now       func() time.Time

	life context.Context // ends with Close
	end  context.CancelFunc
	wg   sync.WaitGroup

	turn chan struct{} // holds one while nobody speaks on the bus

	mu     sync.Mutex
	link   *link // nil, or its connection may be broken
	starts starts
	closed bool
	// opening are the profiles whose page is being opened.
	opening map[string]bool
}

// patience with the bus and the server, for one Announce or Withdraw. A server
// that the bus has to start needs most of it.
const patience = 10 * time.Second

// NewDesktop returns the desktop of the user. It connects when it is first
// needed.
func NewDesktop(o Options) *Desktop {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	d := &Desktop{
		o: o, addresses: sessionbus.Addresses(os.Getenv, os.Getuid()), patience: patience, now: time.Now,
		turn: make(chan struct{}, 1), opening: map[string]bool{},
	}
	d.life, d.end = context.WithCancel(context.Background())
	d.turn <- struct{}{}
	return d
}

// Close ends the connection, and waits for what a click has begun.
func (d *Desktop) Close() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.end()
	d.wg.Wait()
}

// Announce implements expiry.Channel. It fails with expiry.ErrNobody where
// there is no session bus and where no notification server runs or starts.
func (d *Desktop) Announce(ctx context.Context, w ipc.Event, last string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, d.patience)
	defer cancel()
	leave, err := d.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	l, err := d.connect(ctx)
	if err != nil {
		return "", fmt.Errorf("%w: %w", expiry.ErrNobody, err)
	}
	r, err := d.announce(ctx, l, w, parseRef(last))
	switch {
	case err == nil:
		return r.String(), nil
	case errors.Is(err, expiry.ErrNobody):
		return "", err
	case isNobody(err), !l.conn.Connected():
		return "", fmt.Errorf("%w: %w", expiry.ErrNobody, err)
	case ctx.Err() != nil:
		return "", fmt.Errorf("the notification server does not answer: %w", ctx.Err())
	}
	return "", fmt.Errorf("the notification server: %w", err)
}

func (d *Desktop) announce(ctx context.Context, l *link, w ipc.Event, last ref) (ref, error) {
	owner, err := d.findServer(ctx, l)
	if err != nil {
		return ref{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s, err := l.meet(ctx, owner)
	if err != nil {
		return ref{}, err
	}
	if last.bus != l.bus || last.owner != owner {
		last = ref{}
	}
	m := compose(w, d.now())
	r := ref{bus: l.bus, owner: owner}
	err = l.call(ctx, owner, "Notify", "cspctl", last.id, m.icon(), m.summary, s.markup(m.body),
		d.actions(s, w), m.hints(), m.timeout()).Store(&r.id)
	if err != nil {
		return ref{}, fmt.Errorf("Notify: %w", err)
	}
	delete(s.shown, last.id)
	s.shown[r.id] = shown{w.Profile, w.RenewURL}
	d.mu.Lock()
	d.starts = starts{} // it works
	d.mu.Unlock()
	return r, nil
}

// Withdraw implements expiry.Channel.
func (d *Desktop) Withdraw(ctx context.Context, last string) {
	r := parseRef(last)
	if r.id == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, d.patience)
	defer cancel()
	leave, err := d.enter(ctx)
	if err != nil {
		return
	}
	defer leave()
	l, err := d.connect(ctx)
	if err != nil {
		return // what it said went with the bus
	}
	owner, err := l.owner(ctx)
	if err != nil || l.bus != r.bus || owner != r.owner {
		return
	}
	l.mu.Lock()
	if l.server != nil && l.server.owner == owner {
		delete(l.server.shown, r.id)
	}
	l.mu.Unlock()
	if err := l.call(ctx, owner, "CloseNotification", r.id).Err; err != nil {
		d.o.Log.Debug("a notification could not be closed", "err", err) // by its reader, most likely
	}
}

// enter waits for the turn to speak.
func (d *Desktop) enter(ctx context.Context) (leave func(), err error) {
	select {
	case <-d.turn:
		return func() { d.turn <- struct{}{} }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("the notification server does not answer: %w", ctx.Err())
	case <-d.life.Done():
		return nil, fmt.Errorf("%w: closed", expiry.ErrNobody)
	}
}

// connect returns the connection, made anew if it is broken.
func (d *Desktop) connect(ctx context.Context) (*link, error) {
	d.mu.Lock()
	l := d.link
	d.mu.Unlock()
	if l != nil && l.conn.Connected() {
		return l, nil
	}
	l, err := dial(ctx, d.life, d.addresses)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		l.conn.Close()
		return nil, context.Canceled
	}
	d.link = l
	d.starts = starts{} // another bus, or another life of it
	d.wg.Go(func() { d.listen(l) })
	return l, nil
}

// isNobody reports whether an error means that the server, or the bus, is not
// there, or went away.
func isNobody(err error) bool {
	// The bus ended, as the connection noticed or not yet.
	if errors.Is(err, dbus.ErrClosed) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		return true
	}
	if e, ok := errors.AsType[dbus.Error](err); ok {
		switch e.Name {
		case "org.freedesktop.DBus.Error.NameHasNoOwner", "org.freedesktop.DBus.Error.ServiceUnknown",
			"org.freedesktop.DBus.Error.NoReply": // it left in the middle of the call
			return true
		}
	}
	return false
}
