package loopback

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
)

const procHeader = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode" +
	"                                                     \n"

func procLine(local, remote, state string, uid, inode int) string {
	return fmt.Sprintf("%4d: %s %s %s 00000000:00000000 00:00000000 00000000 %5d        0 %d 1 00000000f28ddd15 20 4 30 10 -1        \n",
		7, local, remote, state, uid, inode)
}

func endsFor(local, remote string) ends {
	return ends{netip.MustParseAddrPort(local), netip.MustParseAddrPort(remote)}
}

func findOne(t procTable, rows string, e ends, order binary.ByteOrder) (uint32, error) {
	q := &question{ends: e, err: errNotListed}
	if err := t.find(strings.NewReader(rows), []*question{q}, order); err != nil {
		return 0, err
	}
	return q.owner, q.err
}

func TestProcTable(t *testing.T) {
	const (
		peer, ours   = "0100007F:D431", "0100007F:1F90"
		mapped       = "0000000000000000FFFF00000100007F:"
		local6       = "00000000000000000000000001000000:"
		established  = "01"
		timeWait     = "06"
		uid, another = 1000, 1001
	)
	four, six := endsFor("127.0.0.1:54321", "127.0.0.1:8080"), endsFor("[::1]:54321", "[::1]:8080")
	table4, table6 := procTable{bytes: 4}, procTable{bytes: 16}
	for _, test := range []struct {
		name  string
		table procTable
		ends  ends
		rows  string
		found bool
	}{
		{"there", table4, four, procLine(peer, ours, established, uid, 5), true},
		{"after the server's end", table4, four, procLine(ours, peer, established, another, 6) + procLine(peer, ours, established, uid, 5), true},
		{"the server's end alone", table4, four, procLine(ours, peer, established, uid, 6), false},
		{"after others", table4, four, procLine(peer, "0200007F:1F90", established, another, 6) +
			procLine("0100007F:D432", ours, established, another, 6) + procLine(peer, ours, established, uid, 5), true},
		{"after one that waits", table4, four, procLine(peer, ours, timeWait, 0, 0) + procLine(peer, ours, established, uid, 5), true},
		{"waits", table4, four, procLine(peer, ours, timeWait, 0, 0), false},
		{"closed, not all is sent", table4, four, procLine(peer, ours, "04", 0, 0), false},
		{"half closed", table4, four, procLine(peer, ours, "05", uid, 5), true},
		{"half closed by the server", table4, four, procLine(peer, ours, "08", uid, 5), true},
		{"closes", table4, four, procLine(peer, ours, "07", uid, 5), false},
		{"listens", table4, four, procLine(peer, ours, "0A", uid, 5), false},
		{"no inode", table4, four, procLine(peer, ours, established, uid, 0), false},
		{"nothing", table4, four, "", false},
		{"cut off", table4, four, strings.TrimSuffix(procLine(peer, ours, established, uid, 5), "\n"), false},
		{"mapped", table6, four, procLine(mapped+"D431", mapped+"1F90", established, uid, 5), true},
		{"IPv6", table6, six, procLine(local6+"D431", local6+"1F90", established, uid, 5), true},
		{"IPv6, not mapped", table6, four, procLine(local6+"D431", local6+"1F90", established, uid, 5), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := findOne(test.table, procHeader+test.rows, test.ends, binary.LittleEndian)
			switch {
			case test.found && (err != nil || got != uid):
				t.Errorf("got %d, %v", got, err)
			case !test.found && !errors.Is(err, errNotListed):
				t.Errorf("got %d, %v", got, err)
			}
		})
	}
	t.Run("big-endian machine", func(t *testing.T) {
		row := procLine("7F000001:D431", "7F000001:1F90", established, uid, 5)
		if got, err := findOne(table4, row, four, binary.BigEndian); err != nil || got != uid {
			t.Errorf("got %d, %v", got, err)
		}
	})
	t.Run("a line without end", func(t *testing.T) {
		_, err := findOne(table4, strings.Repeat("x", 2*maxProcRow), four, binary.LittleEndian)
		if !errors.Is(err, ErrUnknown) || errors.Is(err, errNotListed) {
			t.Errorf("got %v", err)
		}
	})
}

// A row is read as a reader that knows no more than columns reads it.
func FuzzProcRow(f *testing.F) {
	f.Add(procLine("0100007F:D431", "0100007F:1F90", "01", 1000, 5))
	f.Add(procHeader)
	f.Add("0: 1 2 3 4 5 6 7 8 9")
	f.Add("0: 1 2 fff 4 5 6 4294967296 8 99999999999999999999")
	f.Fuzz(func(t *testing.T, line string) {
		row, ok := parseProcRow([]byte(line))
		line, _, _ = strings.Cut(line, "\n")
		columns := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' })
		if len(columns) < 10 {
			if ok {
				t.Fatalf("%q was read as %+v", line, row)
			}
			return
		}
		state, err1 := strconv.ParseUint(columns[3], 16, 8)
		uid, err2 := strconv.ParseUint(columns[7], 10, 32)
		inode, err3 := strconv.ParseUint(columns[9], 10, 64)
		if fine := errors.Join(err1, err2, err3) == nil; fine != ok {
			t.Fatalf("%q: %v, and by columns %v", line, ok, fine)
		}
		if ok && (string(row.local) != columns[1] || string(row.remote) != columns[2] || uint64(row.state) != state ||
			uint64(row.uid) != uid || row.inode != inode) {
			t.Fatalf("%q was read as %+v", line, row)
		}
	})
}

func BenchmarkProcTable(b *testing.B) {
	var rows strings.Builder
	rows.WriteString(procHeader)
	for i := range 100_000 {
		rows.WriteString(procLine(fmt.Sprintf("%08X:%04X", 0x0100000A+i>>16, i&0xffff), "0100007F:1F90", "01", 1000, i+1))
	}
	e := endsFor("127.0.0.1:54321", "127.0.0.1:8080")
	b.SetBytes(int64(rows.Len()))
	for b.Loop() {
		if _, err := findOne(procTable{bytes: 4}, rows.String(), e, binary.LittleEndian); !errors.Is(err, errNotListed) {
			b.Fatal(err)
		}
	}
}
