package launch

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"
)

// manager is the user's service manager.
type manager struct {
	socket string
	limits limits
}

// findManager returns the manager if the agent is one of its services, and nil
// if the agent was started by hand or by cspctl. A service of the system's has
// no manager of its user's: there, too, a child is all that is possible.
func (l *Launcher) findManager() *manager {
	getenv := l.getenv
	service := getenv("SYSTEMD_EXEC_PID") == strconv.Itoa(os.Getpid()) // since systemd 248
	inherited := getenv("INVOCATION_ID") != ""                         // also by what a service starts
	dir := getenv("XDG_RUNTIME_DIR")
	if !service && !inherited || !filepath.IsAbs(dir) {
		return nil
	}
	// Its private socket rather than the session bus: it is there without a
	// bus, too, and while that restarts.
	m := &manager{filepath.Join(dir, "systemd", "private"), l.limits}
	if !service && !exists(m.socket) {
		return nil
	}
	return m
}

// dial connects to the manager. The connection ends with ctx.
func (m *manager) dial(outer context.Context) (*dbus.Conn, error) {
	if !exists(m.socket) {
		return nil, errNoManager
	}
	ctx, cancel := context.WithTimeout(outer, m.limits.manager)
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", m.socket)
	if err != nil {
		return nil, said(ctx, err)
	}
	conn := c.(*net.UnixConn)
	if err := samePeer(conn); err != nil {
		_ = conn.Close()
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })() // while it says hello
	bus, err := dbus.DialUnix(conn, dbus.WithContext(outer), dbus.WithSignalHandler(dbus.NewSequentialSignalHandler()))
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	err = bus.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(os.Getuid()))})
	if err == nil {
		err = ping(ctx, bus)
	}
	if err != nil {
		bus.Close()
		return nil, said(ctx, err)
	}
	return bus, nil
}

// ping returns once the manager answers. What arrives together with the last
// word of the authentication, systemd looks at when more comes; if there is a
// descriptor with it, it ends the connection.
func ping(ctx context.Context, bus *dbus.Conn) error {
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	answers := make(chan *dbus.Call, 1000) // more than are sent before ctx ends
	for {
		bus.Object(managerName, managerPath).GoWithContext(ctx, "org.freedesktop.DBus.Peer.Ping", 0, answers)
		select {
		case call := <-answers:
			return call.Err
		case <-ctx.Done():
			return ctx.Err()
		case <-again.C:
		}
	}
}

// samePeer refuses a listener of another user's.
func samePeer(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var cred *unix.Ucred
	var bad error
	if err := raw.Control(func(fd uintptr) { cred, bad = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return err
	}
	if bad != nil {
		return bad
	}
	if int(cred.Uid) != os.Getuid() {
		return fmt.Errorf("the socket of the user's service manager belongs to uid %d", cred.Uid)
	}
	return nil
}

func signalName(number int32) string {
	if name := unix.SignalName(unix.Signal(number)); name != "" {
		return name
	}
	return fmt.Sprintf("signal %d", number)
}
