package loopback

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
)

// The connections of this process's network namespace, see proc_net(5).
// /proc/net is not there in a service with ProcSubset=pid.
const (
	connections4 = "/proc/self/net/tcp"
	connections6 = "/proc/self/net/tcp6"
)

func belongs(e ends, uid uint32) error {
	owner, err := uint32(0), errNotListed
	if e.local.Addr().Is4() {
		owner, err = procTable{bytes: 4}.read(connections4, e)
	}
	// A client may have connected to 127.0.0.1 by an IPv6 socket.
	if errors.Is(err, errNotListed) {
		owner, err = procTable{bytes: 16}.read(connections6, e)
	}
	if err != nil {
		return err
	}
	return judge(owner, uid)
}

func (t procTable) read(path string, e ends) (uint32, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) && path == connections6 { // a system without IPv6
		return 0, errNotListed
	}
	if err != nil {
		return 0, unknown("the table of connections", err)
	}
	defer func() { _ = f.Close() }()
	return t.find(f, e, binary.NativeEndian)
}
