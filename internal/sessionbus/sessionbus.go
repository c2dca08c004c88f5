//go:build unix && !darwin

// Package sessionbus finds the user's D-Bus session bus, and connects to it
// without ever starting one: godbus's own way would launch a daemon that stays
// (https://github.com/godbus/dbus/issues/268).
package sessionbus

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/godbus/dbus/v5"
)

// AddressEnv is where a session says what its bus is.
const AddressEnv = "DBUS_SESSION_BUS_ADDRESS"

// ErrNone: nothing is there that could be a session bus.
var ErrNone = errors.New("no session bus")

// Addresses returns the addresses at which the session bus may be: the
// environment's, and the socket in the user's runtime directory, which outlives
// the session that the environment may speak of. None of them makes godbus
// launch a daemon.
func Addresses(getenv func(string) string, uid int) []string {
	var list []string
	for a := range strings.SplitSeq(getenv(AddressEnv), ";") {
		if a != "" && !strings.HasPrefix(a, "autolaunch:") {
			list = append(list, a)
		}
	}
	dir := getenv("XDG_RUNTIME_DIR")
	if dir == "" {
		dir = filepath.Join("/run/user", strconv.Itoa(uid))
	}
	own := "unix:path=" + dbus.EscapeBusAddressValue(filepath.Join(dir, "bus"))
	if !slices.Contains(list, own) {
		list = append(list, own)
	}
	return list
}

// Dial connects to the first address that answers, and returns that. The
// connection ends with ctx. It uses none of godbus's shared state.
func Dial(ctx context.Context, addresses []string, options ...dbus.ConnOption) (*dbus.Conn, string, error) {
	err := ErrNone
	for _, a := range addresses {
		if !ownSocket(a) {
			continue
		}
		var conn *dbus.Conn
		if conn, err = connect(ctx, a, options); err == nil {
			return conn, a, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, "", err
}

// connect is dbus.Connect that also comes back while an address of kind tcp is
// being dialled.
func connect(ctx context.Context, address string, options []dbus.ConnOption) (*dbus.Conn, error) {
	type result struct {
		conn *dbus.Conn
		err  error
	}
	done := make(chan result, 1)
	go func() {
		conn, err := dbus.Connect(address, append([]dbus.ConnOption{dbus.WithContext(ctx)}, options...)...)
		done <- result{conn, err}
	}()
	select {
	case r := <-done:
		return r.conn, r.err
	case <-ctx.Done():
		return nil, ctx.Err() // which also closes the connection, if one is made
	}
}

// ownSocket refuses a socket in a file that is neither ours nor root's:
// secrets go over it.
func ownSocket(address string) bool {
	path, ok := strings.CutPrefix(address, "unix:path=")
	if !ok {
		return true // abstract, or of another kind: the bus checks who we are
	}
	path, _, _ = strings.Cut(path, ",")
	path, err := dbus.UnescapeBusAddressValue(path)
	if err != nil {
		return false
	}
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && info.Mode().Type() == os.ModeSocket && (int(st.Uid) == os.Getuid() || st.Uid == 0)
}
