package loopback

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// tcpTable says where the columns are of a table that Windows'
// GetExtendedTcpTable fills for TCP_TABLE_OWNER_PID_ALL: a count of 32 bits, then
// rows (MIB_TCPROW_OWNER_PID, MIB_TCP6ROW_OWNER_PID, tcpmib.h).
// Addresses and ports are in network byte order, ports in the first two bytes
// of four.
type tcpTable struct {
	family                                    uint32 // AF_INET, AF_INET6 (ws2def.h)
	addrBytes                                 int
	local, localPort, remote, remotePort, row int
	state, pid                                int
}

var (
	tcpTable4 = tcpTable{family: 2, addrBytes: 4, state: 0, local: 4, localPort: 8, remote: 12, remotePort: 16, pid: 20, row: 24}
	tcpTable6 = tcpTable{family: 23, addrBytes: 16, local: 0, localPort: 20, remote: 24, remotePort: 44, state: 48, pid: 52, row: 56}
)

// The states of TCP in which a process may still have the socket open
// (MIB_TCP_STATE, tcpmib.h).
const (
	tcpEstablished = 5
	tcpFinWait1    = 6
	tcpFinWait2    = 7
	tcpCloseWait   = 8
)

var errTCPTable = errors.New("it is cut off")

// find returns the id of the process that has the socket whose local and
// remote addresses are those, or errNotListed.
func (t tcpTable) find(table []byte, e ends) (uint32, error) {
	order := binary.LittleEndian // of every Windows
	if len(table) < 4 {
		return 0, unknown("the table of connections", errTCPTable)
	}
	rows := table[4:]
	for range order.Uint32(table) {
		if len(rows) < t.row {
			return 0, unknown("the table of connections", errTCPTable)
		}
		row := rows[:t.row]
		rows = rows[t.row:]
		switch order.Uint32(row[t.state:]) {
		case tcpEstablished, tcpFinWait1, tcpFinWait2, tcpCloseWait:
			pid := order.Uint32(row[t.pid:])
			if pid != 0 && t.end(row, t.local, t.localPort) == e.local && t.end(row, t.remote, t.remotePort) == e.remote {
				return pid, nil
			}
		}
	}
	return 0, errNotListed
}

func (t tcpTable) end(row []byte, addr, port int) netip.AddrPort {
	a, _ := netip.AddrFromSlice(row[addr : addr+t.addrBytes])
	return netip.AddrPortFrom(a.Unmap(), binary.BigEndian.Uint16(row[port:]))
}
