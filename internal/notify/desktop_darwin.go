package notify

import (
	"context"
	"os/exec"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
)

// Desktop is an expiry.Channel that shows a notification for each warning. A
// program without a bundle can neither replace one nor be clicked on.
type Desktop struct{}

// NewDesktop returns the desktop of the user.
func NewDesktop(Options) *Desktop { return &Desktop{} }

// Close is there for symmetry: nothing is kept open.
func (d *Desktop) Close() {}

// script takes its texts as arguments: they are never part of its source.
var script = []string{
	"-e", "on run argv",
	"-e", "display notification (item 2 of argv) with title (item 1 of argv)",
	"-e", "end run",
}

// Announce implements expiry.Channel.
func (d *Desktop) Announce(ctx context.Context, w ipc.Event, _ string) (string, error) {
	m := compose(w, time.Now())
	args := append(append([]string{}, script...), "--", m.summary, m.body)
	return "", run(ctx, func(*exec.Cmd) {}, "/usr/bin/osascript", args...)
}

// Withdraw implements expiry.Channel.
func (d *Desktop) Withdraw(context.Context, string) {}
