//go:build linux || darwin

package ipc

import (
	"fmt"
	"os"
	"time"
)

// ListenerPID returns the process that listens at a socket, by the kernel's word
// and not by its own; 0 if there is none. One of another user, or that this
// process can't see, is an error.
func ListenerPID(path string) (pid int, err error) {
	c, err := connectOnce(path, time.Now().Add(startWait))
	if isAbsent(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer c.close()
	peer, err := PeerOfSocket(c.fd)
	switch {
	case err != nil:
		return 0, err
	case int(peer.UID) != os.Geteuid():
		return 0, fmt.Errorf("another user (uid %d) listens at %s", peer.UID, path)
	case peer.PID <= 1:
		return 0, fmt.Errorf("whoever listens at %s is not a process here, as where a container shares its socket", path)
	}
	return peer.PID, nil
}
