//go:build linux || darwin

package listen

import (
	"io"
	"net"
	"strings"
	"testing"
)

// one is a listener with a single connection.
type one struct {
	net.Listener
	c chan net.Conn
}

func (o one) Accept() (net.Conn, error) {
	if c, ok := <-o.c; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

// T27: a peer that the kernel can't name is refused, even if uid 0 is listed.
func TestT27UnknownPeerIsRefused(t *testing.T) {
	ours, theirs := net.Pipe() // has no credentials
	inner := one{c: make(chan net.Conn, 1)}
	inner.c <- ours
	close(inner.c)
	var reported error
	l := newListener(Options{UIDs: []uint32{0}, Refused: func(_ Peer, err error) { reported = err }}.withDefaults(), inner)
	if c, err := l.Accept(); err == nil {
		t.Errorf("accepted %v", c)
	}
	if reported == nil || !strings.Contains(reported.Error(), "peer is unknown") {
		t.Errorf("reported %v", reported)
	}
	_, _ = io.WriteString(theirs, "GET / HTTP/1.1\r\n\r\n")
	if b, _ := io.ReadAll(theirs); !strings.HasPrefix(string(b), "HTTP/1.1 403 ") {
		t.Errorf("it was told %q", b)
	}
}
