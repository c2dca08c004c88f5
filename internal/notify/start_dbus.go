//go:build unix && !darwin

package notify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cspctl/cspctl/internal/agent/expiry"
)

// starts remembers that the bus could not start the server, so that a program
// which can't run is not run all the time.
type starts struct {
	under  bool          // one is under way
	owner  string        // of the server that the last one brought
	pause  time.Duration // after the last one
	notYet time.Time     // the next one
}

const firstPause, mostPause = time.Minute, 10 * time.Minute

// findServer returns the unique name of the notification server, which the bus
// starts if one is installed. Its error is expiry.ErrNobody if there is none.
func (d *Desktop) findServer(ctx context.Context, l *link) (string, error) {
	owner, err := l.owner(ctx)
	if err != nil || owner != "" {
		return owner, err
	}
	var names []string
	if err := l.conn.BusObject().CallWithContext(ctx, busName+".ListActivatableNames", 0).Store(&names); err != nil {
		return "", fmt.Errorf("ListActivatableNames: %w", err)
	}
	if !slices.Contains(names, serverName) {
		return "", fmt.Errorf("%w: no notification server runs", expiry.ErrNobody)
	}
	if !d.mayStart() {
		return "", fmt.Errorf("%w: the notification server did not start a moment ago", expiry.ErrNobody)
	}
	err = l.conn.BusObject().CallWithContext(ctx, busName+".StartServiceByName", 0, serverName, uint32(0)).Err
	if err == nil {
		owner, err = l.owner(ctx)
	}
	if err == nil && owner == "" {
		err = errors.New("it ended at once")
	}
	d.mu.Lock()
	d.starts.under, d.starts.owner = false, owner
	pause := d.starts.pause
	d.mu.Unlock()
	if err != nil {
		d.o.Log.Warn("the notification server does not start", "err", err, "again_in", pause)
		return "", fmt.Errorf("%w: the notification server does not start: %w", expiry.ErrNobody, err)
	}
	return owner, nil
}

// mayStart takes the attempt, if it is time for one. It counts as failed until
// something is shown: a server may start and end at once.
func (d *Desktop) mayStart() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	if now.Before(d.starts.notYet) {
		return false
	}
	pause := min(max(2*d.starts.pause, firstPause), mostPause)
	d.starts = starts{under: true, pause: pause, notYet: now.Add(pause)}
	return true
}

// appeared takes note of a server that has the name now. One that we started
// is no news.
func (d *Desktop) appeared(owner string) {
	d.mu.Lock()
	ours := d.starts.under || d.starts.owner == owner
	if !ours {
		d.starts = starts{}
	}
	d.mu.Unlock()
	if !ours && d.o.Ready != nil {
		d.o.Ready()
	}
}
