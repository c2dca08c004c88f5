package listen

import (
	"fmt"
	"net"

	"github.com/coreos/go-systemd/v22/activation"
)

// Activated returns the sockets that systemd passed to this process
// (sd_listen_fds(3)), none if it passed none; it can be called once. Options
// are asked for by the name (FileDescriptorName=) and path of each; of them,
// Path, Shared, Mode and GID are the unit's business.
func Activated(options func(name, path string) Options) ([]*Listener, error) {
	var all []*Listener
	byName, err := activation.ListenersWithNames()
	for name, inners := range byName {
		for _, inner := range inners {
			unix, ok := inner.(*net.UnixListener)
			if !ok {
				err = fmt.Errorf("systemd passed a socket of another kind (%s): use ListenStream= with a path", inner.Addr().Network())
				_ = inner.Close()
				continue
			}
			unix.SetUnlinkOnClose(false)
			path := unix.Addr().String()
			o := options(name, path)
			o.Path = path
			l := newListener(o.withDefaults(), unix)
			l.name = name
			l.adopt()
			all = append(all, l)
		}
	}
	if err != nil {
		for _, l := range all {
			_ = l.Close()
		}
		return nil, err
	}
	return all, nil
}
