package launch

import (
	"context"
	"errors"
	"path/filepath"
	"strings"

	"github.com/godbus/dbus/v5"
)

// dialSession connects to the session bus, and never has one launched. The
// connection ends with ctx.
func dialSession(ctx context.Context, getenv func(string) string) (*dbus.Conn, error) {
	addresses := strings.Split(getenv("DBUS_SESSION_BUS_ADDRESS"), ";")
	if dir := getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		addresses = append(addresses, "unix:path="+dbus.EscapeBusAddressValue(filepath.Join(dir, "bus")))
	}
	type result struct {
		conn *dbus.Conn
		err  error
	}
	err := errors.New("there is no session bus")
	for _, address := range addresses {
		if address == "" || strings.HasPrefix(address, "autolaunch:") {
			continue
		}
		done := make(chan result, 1)
		go func() {
			conn, err := dbus.Connect(address, dbus.WithContext(ctx), dbus.WithSignalHandler(dbus.NewSequentialSignalHandler()))
			done <- result{conn, err}
		}()
		select {
		case r := <-done:
			if r.err == nil {
				return r.conn, nil
			}
			err = r.err
		case <-ctx.Done():
			return nil, ctx.Err() // which also closes the connection, if one is made
		}
	}
	return nil, err
}
