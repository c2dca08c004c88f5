//go:build darwin || windows

package notify

import (
	"context"
	"fmt"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
)

// Desktop shows notifications by a program of the system. They have no actions
// and can't be taken back. It implements expiry.Channel.
type Desktop struct{ o Options }

// NewDesktop makes a Desktop.
func NewDesktop(o Options) *Desktop { return &Desktop{o.withDefaults()} }

// showTime bounds the program that shows a notification.
const showTime = 20 * time.Second

// Announce implements expiry.Channel. Its reference is always empty.
func (d *Desktop) Announce(ctx context.Context, w ipc.Event, _ string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, showTime)
	defer cancel()
	cmd := show(ctx, noteOf(w))
	cmd.WaitDelay = time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("the notification could not be shown: %w: %s", err, clean(string(out)))
	}
	return "", nil
}

// Withdraw implements expiry.Channel.
func (d *Desktop) Withdraw(context.Context, string) {}

// Close implements io.Closer in the way of the other systems.
func (d *Desktop) Close() {}
