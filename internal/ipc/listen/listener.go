// Package listen makes the agent's sockets: one agent per socket, who connects
// is known and allowed, and no client can take the others' place.
package listen

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"sync"
	"sync/atomic"

	"github.com/cspctl/cspctl/internal/ipc"
)

// The limits of connections at the same time, unless Options say otherwise. A
// process that may open few files takes fewer connections: three quarters of
// them, so that the rest of its work can go on.
const (
	DefaultMaxConns  = 4096 // of one socket
	DefaultMaxPerUID = 2048 // of one user, on a socket that serves several
)

// ErrRunning is wrapped by the error of Listen when another agent has the
// socket.
var ErrRunning = errors.New("an agent is running already")

// ErrNotAllowed is reported for a peer that a socket does not serve.
var ErrNotAllowed = errors.New("this socket does not serve that user")

// ErrBusy is reported for a peer with more than MaxPerUID connections.
var ErrBusy = errors.New("that user has too many connections")

// Peer is who connected.
type Peer = ipc.Peer

// Options describe one socket.
type Options struct {
	Path string // absolute; on Windows the name of a pipe

	// Shared allows a folder that others may enter: it must belong to root or
	// to the agent's user, and nobody else may write to it. Otherwise the
	// folder must be the agent's alone (0700); it is made if it is missing.
	Shared bool
	Mode   fs.FileMode // of the socket; 0: 0600
	GID    int         // group of the socket; 0: the agent's own

	// Who has the agent's own uid is served, and root if AllowRoot is set. UIDs
	// and GIDs are served besides; GIDs are looked up among all groups of the
	// peer. They have no meaning on Windows, where the pipe's access list
	// decides.
	AllowRoot  bool
	UIDs, GIDs []uint32
	// Refused, if not nil, hears of every connection that was turned away,
	// with ErrNotAllowed, ErrBusy or what kept the peer from being known.
	Refused func(Peer, error)

	MaxConns  int // 0: DefaultMaxConns; over it, new ones wait in the backlog
	MaxPerUID int // 0: DefaultMaxPerUID, or MaxConns if only the owner is served; over it, they are refused
}

func (o Options) withDefaults() Options {
	if o.Mode == 0 {
		o.Mode = 0o600
	}
	if o.MaxConns <= 0 {
		o.MaxConns = max(1, min(DefaultMaxConns, maxFiles()/4*3))
	}
	if o.MaxPerUID <= 0 {
		o.MaxPerUID = DefaultMaxPerUID
		if len(o.UIDs)+len(o.GIDs) == 0 {
			o.MaxPerUID = o.MaxConns
		}
	}
	return o
}

// Listener accepts connections of peers that are known and allowed.
type Listener struct {
	o     Options
	name  string
	owner func(Peer) bool // by AllowRoot
	users atomic.Pointer[users]

	inner   atomic.Pointer[net.Listener] // Restore replaces it
	still   func() bool                  // the path still leads to this listener
	clean   func()                       // removes the path if it is still ours, frees the lock
	restore func() error

	slots  chan struct{} // one for each open connection
	mu     sync.Mutex
	perUID map[uint32]int

	once     sync.Once
	closed   chan struct{}
	closeErr error
}

// users are who is served besides the owner.
type users struct{ uids, gids []uint32 }

func newListener(o Options, inner net.Listener) *Listener {
	l := &Listener{
		o: o, owner: ownerOnly(o.AllowRoot), still: func() bool { return true }, clean: func() {}, restore: func() error { return nil },
		slots: make(chan struct{}, o.MaxConns), perUID: map[uint32]int{}, closed: make(chan struct{}),
	}
	l.inner.Store(&inner)
	l.Admit(o.UIDs, o.GIDs)
	return l
}

// Admit replaces who is served besides the owner: UIDs and GIDs of Options.
// Connections that are open stay; StillAdmitted tells of each whether it would
// be accepted now.
func (l *Listener) Admit(uids, gids []uint32) { l.users.Store(&users{uids, gids}) }

// serves reports whether the peer of a connection may use the socket.
func (l *Listener) serves(raw net.Conn, peer Peer) bool {
	u := l.users.Load()
	return l.owner(peer) || lists(raw, peer, u.uids, u.gids)
}

// Path returns the socket's path.
func (l *Listener) Path() string { return l.o.Path }

// Name returns what systemd calls the socket (FileDescriptorName=), or "" if
// it did not pass this one.
func (l *Listener) Name() string { return l.name }

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return addr{(*l.inner.Load()).Addr().Network(), l.o.Path} }

type addr struct{ network, path string }

func (a addr) Network() string { return a.network }
func (a addr) String() string  { return a.path }

// StillOurs reports whether the path still leads to this listener. If not,
// because somebody removed or replaced the socket, no client finds this agent
// any more, until Restore brings the socket back.
func (l *Listener) StillOurs() bool { return l.still() }

// Restore makes the socket again after somebody removed it, its folder and its
// lock included. Its error wraps ErrRunning if another agent has the path by
// now. Connections that were accepted before live on. It is not for use at the
// same time as itself or Close.
func (l *Listener) Restore() error { return l.restore() }

// Close stops listening. It removes the socket only if it is still this
// listener's, and never one that systemd made.
func (l *Listener) Close() error {
	l.once.Do(func() {
		close(l.closed)
		l.closeErr = (*l.inner.Load()).Close()
		l.clean()
	})
	return l.closeErr
}

// Accept implements net.Listener. While MaxConns connections are open it
// accepts none, so that further clients wait instead of failing.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		select {
		case l.slots <- struct{}{}:
		case <-l.closed:
			return nil, net.ErrClosed
		}
		inner := l.inner.Load()
		raw, err := (*inner).Accept()
		if err != nil {
			<-l.slots
			if l.inner.Load() != inner {
				continue // Restore closed the one before
			}
			return nil, err
		}
		peer, err := l.admit(raw)
		if err == nil {
			return &conn{Conn: raw, peer: peer, l: l}, nil
		}
		go func() {
			refuse(raw, err, len(l.slots) < cap(l.slots)/2)
			<-l.slots
		}()
		if l.o.Refused != nil {
			l.o.Refused(peer, err)
		}
	}
}

// admit returns the peer, and counts it in, unless it is to be refused.
func (l *Listener) admit(raw net.Conn) (Peer, error) {
	peer, err := peerOf(raw)
	if err != nil {
		return Peer{}, fmt.Errorf("the peer is unknown: %w", err)
	}
	if !l.serves(raw, peer) {
		return peer, ErrNotAllowed
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.perUID[peer.UID] >= l.o.MaxPerUID {
		return peer, ErrBusy
	}
	l.perUID[peer.UID]++
	return peer, nil
}

func (l *Listener) leave(peer Peer) {
	l.mu.Lock()
	if l.perUID[peer.UID]--; l.perUID[peer.UID] == 0 {
		delete(l.perUID, peer.UID)
	}
	l.mu.Unlock()
	<-l.slots
}

// conn is an accepted connection.
type conn struct {
	net.Conn
	peer Peer
	l    *Listener
	once sync.Once
}

func (c *conn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { c.l.leave(c.peer) })
	return err
}
