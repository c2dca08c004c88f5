// Package notify tells a person at a desktop of API tokens that end: over D-Bus
// on freedesktop systems
// (https://specifications.freedesktop.org/notification-spec/), by osascript on
// macOS, by a toast on Windows.
package notify

import (
	"context"
	"log/slog"

	"github.com/cspctl/cspctl/internal/agent/expiry"
)

// Options say what happens when a person clicks. What is nil is not offered.
// Only freedesktop desktops have something to click, and call Ready. Snooze and
// Ready are called one at a time, and return at once.
type Options struct {
	// Open shows the page where a new API token is made. It returns when ctx
	// ends at the latest.
	Open func(ctx context.Context, url string) error
	// Snooze: the person wants to hear of this profile tomorrow.
	Snooze func(profile string)
	// Ready: a notification server has appeared.
	Ready func()
	Log   *slog.Logger
}

var _ expiry.Channel = (*Desktop)(nil)

// Name implements expiry.Channel.
func (*Desktop) Name() string { return "desktop" }
