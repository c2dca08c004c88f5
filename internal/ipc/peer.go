package ipc

// Peer is who is at the other end of a connection, as the kernel says. The uid
// is the boundary; the pid is for display, since another process may have it
// by now. On Windows, where the pipe's access list admits the user alone, UID
// and GID are 0.
type Peer struct {
	UID, GID uint32
	PID      int // 0 if unknown
}
