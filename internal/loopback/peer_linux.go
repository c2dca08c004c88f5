package loopback

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
)

// tables are the connections of this process's network namespace, see
// proc_net(5). /proc/net is not there in a service with ProcSubset=pid. A
// client may reach 127.0.0.1 by an IPv6 socket too, and is in the second then.
var tables = []procTable{{path: "/proc/self/net/tcp", bytes: 4}, {path: "/proc/self/net/tcp6", bytes: 16}}

func belongs(e ends, uid uint32) error {
	for _, t := range tables {
		if t.bytes == 4 && !e.local.Addr().Is4() {
			continue
		}
		owner, err := t.owner(e)
		if errors.Is(err, errNotListed) {
			continue
		}
		if err != nil {
			return err
		}
		return judge(owner, uid)
	}
	return errNotListed
}

func (t procTable) owner(e ends) (uint32, error) {
	f, err := os.Open(t.path)
	if errors.Is(err, fs.ErrNotExist) && t.bytes == 16 { // a system without IPv6
		return 0, errNotListed
	}
	if err != nil {
		return 0, unknown("the table of connections", err)
	}
	defer f.Close()
	return t.find(f, e, binary.NativeEndian)
}
