//go:build linux || darwin

package listen

import (
	"io/fs"
	"net"
	"path/filepath"

	"github.com/gofrs/flock"
)

// holder is what makes one agent the only one at a path, for as long as it
// lives, and what binds its socket there.
//
// Two locks: one on a file beside the socket, and, since that goes where
// somebody removes the whole folder, one in the kernel where there is one to
// be had. On a system without, an agent that is started in the second before
// its folder's loss is noticed takes the path; the older agent ends then.
type holder struct {
	o      Options
	lock   *flock.Flock
	socket fs.FileInfo // the one that was bound
	made   bool        // by this agent
	kernel func()      // frees the kernel's lock
}

// take takes both locks.
func (h *holder) take() (err error) {
	if h.kernel, err = takeKernelLock(h.o.Path); err != nil {
		return err
	}
	if h.lock, err = takeLock(h.o.Path); err != nil {
		h.kernel()
	}
	return err
}

func (h *holder) release() {
	if h.lock != nil {
		_ = h.lock.Unlock()
	}
	h.kernel()
}

func (h *holder) bind() (*net.UnixListener, error) {
	inner, info, err := bind(h.o)
	if err == nil {
		h.socket, h.made = info, true
	}
	return inner, err
}

// isOurs reports whether the path still leads to the socket.
func (h *holder) isOurs() bool { return isFile(h.o.Path, h.socket) }

// again binds another socket if the one before is gone. It returns nil if it is
// there.
func (h *holder) again() (*net.UnixListener, error) {
	if h.isOurs() {
		return nil, nil
	}
	if err := checkDir(filepath.Dir(h.o.Path), h.o.Shared); err != nil {
		return nil, err
	}
	if !h.holdsLock() {
		// The file went with the folder: whoever locks the new one first has
		// the path.
		lock, err := takeLock(h.o.Path)
		if err != nil {
			return nil, err
		}
		if h.lock != nil {
			_ = h.lock.Unlock()
		}
		h.lock = lock
	}
	return h.bind()
}

// holdsLock reports whether the lock's file is the one at its path.
func (h *holder) holdsLock() bool {
	if h.lock == nil {
		return false
	}
	info, err := h.lock.Stat()
	return err == nil && isFile(lockName(h.o.Path), info)
}
