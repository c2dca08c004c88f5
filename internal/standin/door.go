package standin

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"github.com/cspctl/cspctl/internal/loopback"
)

const (
	maxLooks = 512 // peers that are looked up at once, or wait for a place
	maxConns = 64  // of a run

	acceptPause = 50 * time.Millisecond
)

// door is a listener that lets in the processes of one user alone. Others are
// turned away before a byte is read, and take nobody's place.
type door struct {
	net.Listener
	admit   func(net.Conn) error
	refused func(why error)

	looks, conns chan struct{}
	in           chan net.Conn
	closed       chan struct{}
	once         sync.Once
}

func newDoor(l net.Listener, admit func(net.Conn) error, refused func(why error)) *door {
	d := &door{Listener: l, admit: admit, refused: refused, in: make(chan net.Conn), closed: make(chan struct{}),
		looks: make(chan struct{}, maxLooks), conns: make(chan struct{}, maxConns)}
	go d.watch()
	return d
}

// watch looks at everybody who knocks.
func (d *door) watch() {
	var work sync.WaitGroup
	defer func() { work.Wait(); close(d.in) }()
	for {
		d.looks <- struct{}{}
		c, err := d.Listener.Accept()
		if err != nil && !errors.Is(err, net.ErrClosed) {
			// As with too many open files. It passes.
			<-d.looks
			select {
			case <-time.After(acceptPause):
				continue
			case <-d.closed:
				return
			}
		}
		if err != nil {
			return
		}
		work.Go(func() {
			// Until it is in: those who wait for a place are bounded, too.
			defer func() { <-d.looks }()
			err := d.admit(c)
			if errors.Is(err, loopback.ErrOther) || err != nil && !isGone(c) {
				d.refused(err)
			}
			if err != nil || !d.enter(c) {
				_ = c.Close()
			}
		})
	}
}

// isGone reports whether a peer has closed its connection without a word: nobody
// can tell whose it was, and nobody was refused.
func isGone(c net.Conn) bool {
	_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
	n, err := c.Read(make([]byte, 1))
	return n == 0 && !errors.Is(err, os.ErrDeadlineExceeded)
}

// enter hands a connection on, when there is room.
func (d *door) enter(c net.Conn) bool {
	select {
	case d.conns <- struct{}{}:
	case <-d.closed:
		return false
	}
	select {
	case d.in <- &guest{Conn: c, leave: sync.OnceFunc(func() { <-d.conns })}:
		return true
	case <-d.closed:
		return false
	}
}

// Accept implements net.Listener.
func (d *door) Accept() (net.Conn, error) {
	select {
	case c, ok := <-d.in:
		if ok {
			return c, nil
		}
		return nil, net.ErrClosed
	case <-d.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (d *door) Close() error {
	d.once.Do(func() { close(d.closed) })
	return d.Listener.Close()
}

// guest is a connection that leaves its place when it is closed.
type guest struct {
	net.Conn
	leave func()
}

func (g *guest) Close() error {
	g.leave()
	return g.Conn.Close()
}
