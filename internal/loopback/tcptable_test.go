package loopback

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"
)

// windowsRow is a connection of Windows, and how its tables have it.
type windowsRow struct {
	local, remote string
	state, pid    uint32
}

func (r windowsRow) append(b []byte, six bool) []byte {
	order := binary.LittleEndian
	addr := func(b []byte, s string) []byte {
		a := netip.MustParseAddrPort(s)
		port := [4]byte{byte(a.Port() >> 8), byte(a.Port()), 0xaa, 0xaa} // the rest may be anything
		if six {
			sixteen := a.Addr().As16()
			b = append(b, sixteen[:]...)
			b = append(b, 0, 0, 0, 0) // scope
		} else {
			four := a.Addr().As4()
			b = append(b, four[:]...)
		}
		return append(b, port[:]...)
	}
	if !six {
		b = order.AppendUint32(b, r.state)
	}
	b = addr(addr(b, r.local), r.remote)
	if six {
		b = order.AppendUint32(b, r.state)
	}
	return order.AppendUint32(b, r.pid)
}

func windowsTable(six bool, rows ...windowsRow) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(rows)))
	for _, r := range rows {
		b = r.append(b, six)
	}
	return append(b, 0, 0, 0, 0) // there may be more room than rows
}

func TestWindowsTable(t *testing.T) {
	const pid = 4711
	four, six := endsFor("127.0.0.1:54321", "127.0.0.1:8080"), endsFor("[::1]:54321", "[::1]:8080")
	there := windowsRow{"127.0.0.1:54321", "127.0.0.1:8080", 5, pid}
	server := windowsRow{"127.0.0.1:8080", "127.0.0.1:54321", 5, 1}
	there6 := windowsRow{"[::1]:54321", "[::1]:8080", 5, pid}
	for _, test := range []struct {
		name  string
		table tcpTable
		ends  ends
		b     []byte
		found bool
	}{
		{"there", tcpTable4, four, windowsTable(false, there), true},
		{"after the server's end", tcpTable4, four, windowsTable(false, server, there), true},
		{"the server's end alone", tcpTable4, four, windowsTable(false, server), false},
		{"waits", tcpTable4, four, windowsTable(false, windowsRow{there.local, there.remote, 11, 0}), false},
		{"nobody's", tcpTable4, four, windowsTable(false, windowsRow{there.local, there.remote, 5, 0}), false},
		{"half closed", tcpTable4, four, windowsTable(false, windowsRow{there.local, there.remote, 7, pid}), true},
		{"IPv6", tcpTable6, six, windowsTable(true, there6), true},
		{"mapped", tcpTable6, four, windowsTable(true, there6, there), true},
		{"none", tcpTable4, four, windowsTable(false), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := test.table.find(test.b, test.ends)
			if test.found && (err != nil || got != pid) || !test.found && !errors.Is(err, errNotListed) {
				t.Errorf("got %d, %v", got, err)
			}
		})
	}
	t.Run("cut off", func(t *testing.T) {
		for n := range 4 + tcpTable4.row {
			if _, err := tcpTable4.find(windowsTable(false, server)[:n], four); !errors.Is(err, ErrUnknown) || errors.Is(err, errNotListed) {
				t.Fatalf("the first %d bytes: %v", n, err)
			}
		}
	})
}

func FuzzWindowsTable(f *testing.F) {
	f.Add(windowsTable(false, windowsRow{"127.0.0.1:54321", "127.0.0.1:8080", 5, 1}), false)
	f.Add(windowsTable(true, windowsRow{"[::1]:54321", "[::1]:8080", 5, 1}), true)
	f.Fuzz(func(t *testing.T, b []byte, six bool) {
		table, e := tcpTable4, endsFor("127.0.0.1:54321", "127.0.0.1:8080")
		if six {
			table, e = tcpTable6, endsFor("[::1]:54321", "[::1]:8080")
		}
		if pid, err := table.find(b, e); err != nil && !errors.Is(err, ErrUnknown) || err == nil && pid == 0 {
			t.Error(pid, err)
		}
	})
}
