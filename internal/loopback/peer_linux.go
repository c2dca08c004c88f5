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
	owner, err := peers.ask(e)
	if err != nil {
		return err
	}
	return judge(owner, uid)
}

func lookUp(asked []*question) {
	var four []*question
	for _, q := range asked {
		if q.local.Addr().Is4() {
			four = append(four, q)
		}
	}
	if len(four) > 0 {
		procTable{bytes: 4}.read(connections4, four)
	}
	// A client may have connected to 127.0.0.1 by an IPv6 socket.
	if rest := unlisted(asked); len(rest) > 0 {
		procTable{bytes: 16}.read(connections6, rest)
	}
}

func (t procTable) read(path string, asked []*question) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) && path == connections6 { // a system without IPv6
		return
	}
	if err != nil {
		fail(asked, unknown("the table of connections", err))
		return
	}
	defer func() { _ = f.Close() }()
	if err := t.find(f, asked, binary.NativeEndian); err != nil {
		fail(unlisted(asked), err)
	}
}
