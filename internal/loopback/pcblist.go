package loopback

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// The list of TCP connections of macOS, net.inet.tcp.pcblist_n: an xinpgen, for
// each socket the records below, an xinpgen again. A record begins with its
// length and its kind, each 32 bits in the byte order of the machine, and is
// padded to 8 bytes; structures are packed to 4 bytes. Sources, in Apple's XNU:
// bsd/netinet/in_pcblist.c (what is written, in which order), in_pcb.h, tcp_var.h,
// tcp_fsm.h, and bsd/sys/socketvar.h (the structures).
const (
	pcbGenSize = 24 // of xinpgen; every record is longer

	pcbKindSocket = 0x01 // xsocket_n
	pcbKindInet   = 0x10 // xinpcb_n, the first of a socket
	pcbKindTCP    = 0x20 // xtcpcb_n, the last

	// xinpcb_n; ports in network byte order. An IPv4 address is the last 4
	// bytes of its 16.
	pcbRemotePort = 16
	pcbLocalPort  = 18
	pcbVersion    = 44 // bits
	pcbRemoteAddr = 48
	pcbLocalAddr  = 64
	pcbInetSize   = 80
	pcbIPv4       = 1
	pcbIPv6       = 2

	// xsocket_n. All of it is zero, the uid too, where the kernel's socket is gone.
	pcbType       = 16
	pcbState      = 26
	pcbUID        = 64
	pcbSocketSize = 68
	pcbStream     = 1 // SOCK_STREAM
	pcbClosed     = 1 // SS_NOFDREF: no process has it open

	// xtcpcb_n
	pcbTCPState = 36
	pcbTCPSize  = 40
)

// The states of TCP in which a process may still have the socket open
// (tcp_fsm.h).
const (
	pcbEstablished = 4
	pcbCloseWait   = 5
	pcbFinWait1    = 6
	pcbFinWait2    = 9
)

var errPCBList = errors.New("its format is another")

// findPCB returns the uid of the socket whose local and remote addresses are
// those, or errNotListed.
func findPCB(list []byte, e ends) (uint32, error) {
	broken := func() (uint32, error) { return 0, unknown("the list of connections", errPCBList) }
	order := binary.LittleEndian // of all Macs
	if len(list) < pcbGenSize || order.Uint32(list) != pcbGenSize {
		return broken()
	}
	var inet, socket []byte
	for rest := list[pcbGenSize:]; ; {
		if len(rest) < 8 {
			return broken()
		}
		size := uint64(order.Uint32(rest))
		if size == pcbGenSize {
			return 0, errNotListed
		}
		padded := (size + 7) &^ 7
		if size < pcbGenSize || padded > uint64(len(rest)) {
			return broken()
		}
		record := rest[:size]
		switch order.Uint32(record[4:]) {
		case pcbKindInet:
			inet, socket = record, nil
		case pcbKindSocket:
			socket = record
		case pcbKindTCP:
			if len(inet) < pcbInetSize || len(socket) < pcbSocketSize || len(record) < pcbTCPSize {
				return broken()
			}
			if pcbOpen(socket, order.Uint32(record[pcbTCPState:])) && pcbIs(inet, e) {
				return order.Uint32(socket[pcbUID:]), nil
			}
			inet, socket = nil, nil
		}
		rest = rest[padded:]
	}
}

// pcbOpen reports whether a process has the socket open.
func pcbOpen(socket []byte, tcp uint32) bool {
	order := binary.LittleEndian
	switch tcp {
	case pcbEstablished, pcbCloseWait, pcbFinWait1, pcbFinWait2:
		return order.Uint16(socket[pcbType:]) == pcbStream && order.Uint16(socket[pcbState:])&pcbClosed == 0
	}
	return false
}

// pcbIs reports whether the addresses of a socket are those.
func pcbIs(inet []byte, e ends) bool {
	return pcbEnd(inet, pcbLocalAddr, pcbLocalPort) == e.local && pcbEnd(inet, pcbRemoteAddr, pcbRemotePort) == e.remote
}

func pcbEnd(inet []byte, addr, port int) netip.AddrPort {
	b := [16]byte(inet[addr:])
	var a netip.Addr
	switch v := inet[pcbVersion]; {
	case v&pcbIPv4 != 0:
		a = netip.AddrFrom4([4]byte(b[12:]))
	case v&pcbIPv6 != 0:
		a = netip.AddrFrom16(b).Unmap()
	}
	return netip.AddrPortFrom(a, binary.BigEndian.Uint16(inet[port:]))
}
