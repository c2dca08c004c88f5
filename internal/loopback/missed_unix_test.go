//go:build linux || darwin

package loopback

import (
	"net"
	"os"
	"testing"
)

// A row that was missed, since the table changed while it was read, is looked for
// again; not for ever.
func TestMissedRowIsLookedForAgain(t *testing.T) {
	t.Cleanup(func() { peers = &batch{look: lookUp} })
	for missed := range 4 {
		looks := 0
		peers = &batch{look: func(asked []*question) {
			if looks++; looks > missed {
				asked[0].owner, asked[0].err = uint32(os.Getuid()), nil
			}
		}}
		err := BelongsTo(between{}, uint32(os.Getuid()))
		if (err == nil) != (missed <= len(pauses)) || looks != min(missed, len(pauses))+1 {
			t.Errorf("missed %d times: %v after %d looks", missed, err, looks)
		}
	}
}

// between is a connection of which only the addresses are looked at.
type between struct{ net.Conn }

func (between) LocalAddr() net.Addr  { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080} }
func (between) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 54321} }
