//go:build unix && !darwin

package notify

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/cspctl/cspctl/internal/agent/expiry"
	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/sessionbus"
)

// Desktop shows notifications
// (https://specifications.freedesktop.org/notification-spec/), over a connection
// of its own to the session bus, which it never starts. It implements
// expiry.Channel.
type Desktop struct {
	o         Options
	addresses []string // of the session bus, in the order to try

	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup // what actions have begun

	connecting sync.Mutex // one at a time

	mu    sync.Mutex
	bus   *bus // nil: not connected
	start activation
}

// NewDesktop makes a Desktop. It connects to nothing yet.
func NewDesktop(o Options) *Desktop {
	d := &Desktop{o: o.withDefaults(), addresses: sessionbus.Addresses(os.Getenv, os.Getuid())}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	return d
}

// callTime bounds each call of the bus or of the notification server.
const callTime = 5 * time.Second

// Announce implements expiry.Channel. The reference holds the bus, the server's
// name on it and the id there: ids belong to one life of one server, and the
// next one may give the same to somebody else.
func (d *Desktop) Announce(ctx context.Context, w ipc.Event, ref string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	b, err := d.connect(ctx)
	if err != nil {
		return "", fmt.Errorf("%w: %w", expiry.ErrNobody, err)
	}
	owner, err := d.server(ctx, b)
	if err != nil {
		return "", fmt.Errorf("%w: %w", expiry.ErrNobody, err)
	}
	id, err := b.notify(ctx, owner, b.replaces(ref, owner), w)
	if err != nil {
		if b.gone() || isNobody(err) {
			return "", fmt.Errorf("%w: %w", expiry.ErrNobody, err)
		}
		return "", fmt.Errorf("the notification server does not take it: %w", err)
	}
	return b.ref(owner, id), nil
}

// Withdraw implements expiry.Channel.
func (d *Desktop) Withdraw(ctx context.Context, ref string) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	b, err := d.connect(ctx)
	if err != nil {
		return // the message has gone with the bus
	}
	owner, err := b.owner(ctx)
	if err != nil {
		return
	}
	if id := b.replaces(ref, owner); id != 0 {
		b.closeNotification(ctx, owner, id)
	}
}

// Close ends the connection and whatever an action has begun.
func (d *Desktop) Close() {
	d.cancel()
	d.mu.Lock()
	b := d.bus
	d.mu.Unlock()
	if b != nil {
		b.close()
	}
	d.work.Wait()
}

// connect returns the connection, made if there is none.
func (d *Desktop) connect(ctx context.Context) (*bus, error) {
	d.connecting.Lock()
	defer d.connecting.Unlock()
	d.mu.Lock()
	b := d.bus
	d.mu.Unlock()
	if b != nil && !b.gone() {
		return b, nil
	}
	if d.ctx.Err() != nil {
		return nil, d.ctx.Err()
	}
	b, err := d.dial(ctx)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.bus = b
	d.mu.Unlock()
	return b, nil
}

// activation is the memory of how starting a notification server went.
type activation struct {
	pause time.Duration // after the last try, which failed
	at    time.Time
}

const activationFirst, activationMost = time.Minute, 10 * time.Minute

// server returns the unique name of the notification server. Where none runs
// and one is installed, the bus is asked to start it; after a failure, as before
// the desktop is there, not again for a while.
func (d *Desktop) server(ctx context.Context, b *bus) (string, error) {
	owner, err := b.owner(ctx)
	if err == nil || !isNobody(err) {
		return owner, err
	}
	d.mu.Lock()
	wait := d.start.pause > 0 && time.Since(d.start.at) < d.start.pause
	d.mu.Unlock()
	if wait || !b.activatable(ctx) {
		return "", errors.New("no notification server runs on the session bus")
	}
	if err := b.activate(ctx); err != nil {
		d.mu.Lock()
		d.start.at = time.Now()
		d.start.pause = min(max(2*d.start.pause, activationFirst), activationMost)
		d.mu.Unlock()
		return "", fmt.Errorf("the notification server does not start: %w", err)
	}
	return b.owner(ctx)
}

// appeared is called when a notification server has taken its name.
func (d *Desktop) appeared() {
	d.mu.Lock()
	d.start = activation{}
	d.mu.Unlock()
	d.o.Ready()
}

// act does what the person chose.
func (d *Desktop) act(key string, s shown) {
	switch key {
	case "snooze":
		d.o.Snooze(s.profile)
	case "default", "renew":
		if s.url == "" {
			return
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.ctx.Err() != nil {
			return
		}
		d.work.Go(func() {
			ctx, cancel := context.WithTimeout(d.ctx, 30*time.Second)
			defer cancel()
			if err := d.o.Open(ctx, s.url); err != nil {
				d.o.Log.Error("the page could not be opened", "profile", s.profile, "url", s.url, "err", err)
			}
		})
	}
}

// escape is for servers that read markup in a body.
var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
