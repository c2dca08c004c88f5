// Package loopback is for a server on loopback, which any user of the machine
// can connect to: it tells whose process is at the other end of a connection,
// and makes certificates for the time of one run.
package loopback

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// ErrOther and ErrUnknown are why BelongsTo refuses a peer.
var (
	ErrOther   = errors.New("the peer's process is another user's")
	ErrUnknown = errors.New("whose the peer's process is can't be found out")
)

// errNotListed: the system lists no such connection that a process has open.
// It may list it a moment later: a table that changes is not read at once.
var errNotListed = fmt.Errorf("%w: the system lists no process for its connection", ErrUnknown)

// pauses are between attempts to find a connection that was not listed.
var pauses = []time.Duration{time.Millisecond, 10 * time.Millisecond}

// BelongsTo returns nil only if the other end of c, an accepted TCP connection
// between two addresses of loopback, is open in a process of the user with that
// uid. Otherwise the error wraps ErrOther or ErrUnknown; the latter too if the
// peer has closed its end already.
//
// The user is the one who made the socket: whoever is handed an open connection
// by another process speaks for that one. In a user namespace, uids are those
// of this process's namespace; 65534 stands for all that are not in it, and
// matches nobody (user_namespaces(7)). On Windows the uid is ignored, and the
// user must be the one that this process runs as.
//
// It reads the system's table of connections, so it takes longer the more of
// them there are: some tens of milliseconds for 100,000. Of c only the
// addresses are used, so a wrapper will do.
func BelongsTo(c net.Conn, uid uint32) error {
	e, err := endsOf(c)
	if err != nil {
		return err
	}
	err = belongs(e, uid)
	for _, pause := range pauses {
		if !errors.Is(err, errNotListed) {
			break
		}
		time.Sleep(pause)
		err = belongs(e, uid)
	}
	return err
}

// ends are the addresses of a connection as its client sees them: local is the
// peer's, remote the server's. IPv4 is never mapped, and no address has a zone.
type ends struct{ local, remote netip.AddrPort }

func endsOf(c net.Conn) (ends, error) {
	peer, err := loopbackOf(c.RemoteAddr())
	if err != nil {
		return ends{}, err
	}
	ours, err := loopbackOf(c.LocalAddr())
	return ends{local: peer, remote: ours}, err
}

func loopbackOf(a net.Addr) (netip.AddrPort, error) {
	t, ok := a.(*net.TCPAddr)
	if !ok || t == nil {
		return netip.AddrPort{}, fmt.Errorf("%w: not a TCP connection", ErrUnknown)
	}
	p := t.AddrPort()
	addr := p.Addr().Unmap().WithZone("")
	if !addr.IsLoopback() {
		return netip.AddrPort{}, fmt.Errorf("%w: not a connection on loopback", ErrUnknown)
	}
	return netip.AddrPortFrom(addr, p.Port()), nil
}

// unknown returns an error that wraps ErrUnknown and the cause.
func unknown(doing string, cause error) error {
	return fmt.Errorf("%w: %s: %w", ErrUnknown, doing, cause)
}
