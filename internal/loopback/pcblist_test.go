package loopback

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"testing"
)

// pcb is a socket of macOS, and how XNU writes it down.
type pcb struct {
	local, remote string
	mapped        bool // an IPv6 socket with IPv4 addresses
	uid           uint32
	state         uint32 // of TCP
	flags         uint16 // of the socket
	gone          bool   // the socket, while TCP has not ended
}

func (p pcb) records() []byte {
	order := binary.LittleEndian
	record := func(kind uint32, size int) []byte {
		b := make([]byte, (size+7)&^7)
		order.PutUint32(b, uint32(size))
		order.PutUint32(b[4:], kind)
		return b
	}
	inet := record(0x10, 104)
	end := func(s string, addr, port int) {
		a := netip.MustParseAddrPort(s)
		binary.BigEndian.PutUint16(inet[port:], a.Port())
		if a.Addr().Is4() && !p.mapped {
			four := a.Addr().As4()
			copy(inet[addr+12:], four[:])
			inet[44] = 1
			return
		}
		sixteen := a.Addr().As16()
		copy(inet[addr:], sixteen[:])
		inet[44] = 2
	}
	end(p.remote, 48, 16)
	end(p.local, 64, 18)
	socket := record(0x01, 76)
	if !p.gone {
		order.PutUint64(socket[8:], 0x1234)
		order.PutUint16(socket[16:], 1)
		order.PutUint16(socket[26:], p.flags)
		order.PutUint32(socket[64:], p.uid)
		order.PutUint32(socket[68:], 4711) // the pid
	}
	tcp := record(0x20, 204)
	order.PutUint32(tcp[36:], p.state)
	return slices.Concat(inet, socket, record(0x02, 32), record(0x04, 32), record(0x08, 136), tcp)
}

func pcbList(sockets ...pcb) []byte {
	generation := make([]byte, 24)
	binary.LittleEndian.PutUint32(generation, 24)
	binary.LittleEndian.PutUint32(generation[4:], uint32(len(sockets))) // a count, where records have their kind
	list := slices.Clone(generation)
	for _, s := range sockets {
		list = append(list, s.records()...)
	}
	return append(list, generation...)
}

// The list of macOS can't be asked for here: this one is made as its headers
// describe it.
func TestPCBList(t *testing.T) {
	const (
		peer, ours   = "127.0.0.1:54321", "127.0.0.1:8080"
		uid, another = 501, 502
	)
	four, six := endsFor(peer, ours), endsFor("[::1]:54321", "[::1]:8080")
	there := pcb{local: peer, remote: ours, uid: uid, state: 4, flags: 2}
	with := func(change func(*pcb)) pcb {
		p := there
		change(&p)
		return p
	}
	server := pcb{local: ours, remote: peer, uid: another, state: 4, flags: 2}
	there6 := pcb{local: "[::1]:54321", remote: "[::1]:8080", uid: uid, state: 4, flags: 2}
	for _, test := range []struct {
		name    string
		ends    ends
		sockets []pcb
		found   bool
	}{
		{"there", four, []pcb{there}, true},
		{"among others", four, []pcb{server, there6, with(func(p *pcb) { p.local, p.uid = "127.0.0.1:54320", another }), there, server}, true},
		{"the server's end alone", four, []pcb{server}, false},
		{"half closed", four, []pcb{with(func(p *pcb) { p.state = 9 })}, true},
		{"waits", four, []pcb{with(func(p *pcb) { p.state = 10 })}, false},
		{"listens", four, []pcb{with(func(p *pcb) { p.state = 1 })}, false},
		{"no process has it open", four, []pcb{with(func(p *pcb) { p.flags = 3 })}, false},
		{"the socket is gone, and shows uid 0", four, []pcb{with(func(p *pcb) { p.gone = true })}, false},
		{"mapped", four, []pcb{with(func(p *pcb) { p.mapped = true })}, true},
		{"IPv6", six, []pcb{there, there6}, true},
		{"IPv6 only", four, []pcb{there6}, false},
		{"none", four, nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := findPCB(pcbList(test.sockets...), test.ends)
			if test.found && (err != nil || got != uid) || !test.found && !errors.Is(err, errNotListed) {
				t.Errorf("got %d, %v", got, err)
			}
		})
	}
	t.Run("cut off", func(t *testing.T) {
		list := pcbList(server, there)
		for n := range len(list) - 24 {
			if got, err := findPCB(list[:n], endsFor("127.0.0.1:1", ours)); !errors.Is(err, ErrUnknown) || errors.Is(err, errNotListed) {
				t.Fatalf("the first %d bytes: got %d, %v", n, got, err)
			}
		}
	})
}

func FuzzPCBList(f *testing.F) {
	there := pcb{local: "127.0.0.1:54321", remote: "127.0.0.1:8080", uid: 501, state: 4, flags: 2}
	f.Add(pcbList(there))
	f.Add(pcbList())
	f.Fuzz(func(t *testing.T, list []byte) {
		if _, err := findPCB(list, endsFor(there.local, there.remote)); err != nil && !errors.Is(err, ErrUnknown) {
			t.Error(err)
		}
	})
}
