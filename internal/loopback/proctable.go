package loopback

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"strconv"
)

// procTable is a table of TCP connections as Linux writes it: proc_net(5), and
// Documentation/networking/proc_net_tcp.rst of the kernel.
type procTable struct {
	bytes int // of an address: 4 or 16
}

const (
	maxProcTable = 128 << 20 // bytes: about 800,000 connections
	maxProcRow   = 4 << 10   // bytes; the kernel pads rows to 150
)

// procRow is what a row says of a socket.
type procRow struct {
	local, remote []byte // as written: hexadecimal address, colon, port
	state         uint8
	uid           uint32
	inode         uint64
}

// The states of TCP in which a process may still have the socket open
// (include/net/tcp_states.h): a client may have ended its request by closing
// one direction, and waits for the answer.
const (
	procEstablished = 1
	procFinWait1    = 4
	procFinWait2    = 5
	procCloseWait   = 8
)

// open reports whether a process has the socket open. Others, such as those in
// TIME_WAIT or closed with data on the way, show the uid 0 and no inode.
func (r procRow) open() bool {
	switch r.state {
	case procEstablished, procFinWait1, procFinWait2, procCloseWait:
		return r.inode != 0
	}
	return false
}

// find answers the questions whose local and remote addresses have a row, with
// the uid of that socket. It reads no further than to the last of them. order is
// the byte order of the machine.
func (t procTable) find(r io.Reader, asked []*question, order binary.ByteOrder) error {
	by := make(map[string]*question, len(asked)) // by both addresses, as written
	for _, q := range asked {
		by[string(t.format(q.local, order))+" "+string(t.format(q.remote, order))] = q
	}
	in := bufio.NewReaderSize(io.LimitReader(r, maxProcTable), maxProcRow)
	for len(by) > 0 {
		line, err := in.ReadSlice('\n')
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return unknown("the table of connections", err)
		}
		both := addresses(line)
		q := by[string(both)]
		if q == nil { // nearly all of them
			continue
		}
		if row, ok := parseProcRow(line); ok && row.open() {
			q.owner, q.err = row.uid, nil
			delete(by, string(both))
		}
	}
	return nil
}

// addresses is the part of a row with the local and the remote address.
func addresses(line []byte) []byte {
	_, line, _ = bytes.Cut(line, []byte(": "))
	if i := bytes.IndexByte(line, ' '); i > 0 {
		if j := bytes.IndexByte(line[i+1:], ' '); j > 0 {
			return line[:i+1+j]
		}
	}
	return nil
}

// format writes an address as the kernel does: each 32 bits of it, which are in
// network byte order, as a number of the machine.
func (t procTable) format(a netip.AddrPort, order binary.ByteOrder) []byte {
	b := a.Addr().AsSlice()
	if t.bytes == 16 {
		mapped := a.Addr().As16()
		b = mapped[:]
	}
	var out []byte
	for ; len(b) >= 4; b = b[4:] {
		out = fmt.Appendf(out, "%08X", order.Uint32(b))
	}
	return fmt.Appendf(out, ":%04X", a.Port())
}

// parseProcRow reads these columns of a row, counted from 0: 1 local address,
// 2 remote address, 3 state, 7 uid, 9 inode. The header is not a row.
func parseProcRow(line []byte) (procRow, bool) {
	var f [10][]byte
	for i := range f {
		line = bytes.TrimLeft(line, " ")
		end := bytes.IndexAny(line, " \n")
		if end < 0 {
			end = len(line)
		}
		if end == 0 {
			return procRow{}, false
		}
		f[i], line = line[:end], line[end:]
	}
	state, err1 := strconv.ParseUint(string(f[3]), 16, 8)
	uid, err2 := strconv.ParseUint(string(f[7]), 10, 32)
	inode, err3 := strconv.ParseUint(string(f[9]), 10, 64)
	if err1 != nil || err2 != nil || err3 != nil {
		return procRow{}, false
	}
	return procRow{local: f[1], remote: f[2], state: uint8(state), uid: uint32(uid), inode: inode}, true
}
