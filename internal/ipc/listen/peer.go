package listen

import (
	"context"
	"errors"
	"net"
)

// PeerOf returns who is at the other end of a connection that a Listener
// accepted.
func PeerOf(c net.Conn) (Peer, error) {
	if c, ok := c.(*conn); ok {
		return c.peer, nil
	}
	return Peer{}, errors.New("not a connection of the agent's sockets")
}

type contextKey struct{}

// WithPeer adds the connection's peer to ctx. It is made for
// http.Server.ConnContext.
func WithPeer(ctx context.Context, c net.Conn) context.Context {
	if c, ok := c.(*conn); ok {
		return context.WithValue(ctx, contextKey{}, c)
	}
	return ctx
}

// PeerFrom returns the peer that WithPeer added.
func PeerFrom(ctx context.Context) (Peer, bool) {
	if c, ok := ctx.Value(contextKey{}).(*conn); ok {
		return c.peer, true
	}
	return Peer{}, false
}

// StillAdmitted reports whether the socket still serves the peer of a request,
// whose connection may have been accepted before Admit. A request that came
// over no Listener is left to others.
func StillAdmitted(ctx context.Context) bool {
	c, ok := ctx.Value(contextKey{}).(*conn)
	return !ok || c.l.serves(c.Conn, c.peer)
}

// Listed reports whether the peer of a request is among uids, or in one of gids
// with any of its groups. A number that stands for many lists none of them, and
// a request that came over no Listener is nobody's.
func Listed(ctx context.Context, uids, gids []uint32) bool {
	c, ok := ctx.Value(contextKey{}).(*conn)
	return ok && lists(c.Conn, c.peer, uids, gids)
}

// ProgramOf returns the program that the peer of a request runs, or "" if the
// system does not tell or the peer has ended: the path of its file, or else the
// name that the process goes by. It is verified if it is the path, and the
// process that connected still had its pid after it was read. Otherwise another
// process may have had the pid, or the name may be one that the process gave
// itself. What a user makes a program do is not verified in any case.
func ProgramOf(ctx context.Context) (path string, verified bool) {
	c, ok := ctx.Value(contextKey{}).(*conn)
	if !ok || c.peer.PID <= 0 {
		return "", false
	}
	return programOf(c.Conn, c.peer.PID)
}
