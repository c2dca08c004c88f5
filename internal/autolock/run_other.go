//go:build !unix || darwin

package autolock

import "context"

// Supported reports whether this system tells of such moments.
const Supported = false

// SystemAddresses returns none: there is no D-Bus.
func SystemAddresses(func(string) string) []string { return nil }

// SessionAddresses returns none: there is no D-Bus.
func SessionAddresses(func(string) string) []string { return nil }

// Run waits until ctx ends: the settings can't ask for anything here.
func (w *Watcher) Run(ctx context.Context) { <-ctx.Done() }
