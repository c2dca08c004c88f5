//go:build linux || darwin

package listen

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"

	"github.com/cspctl/cspctl/internal/ipc"
)

// Listen makes a socket. Its error wraps ErrRunning if another agent has it,
// and ipc.ErrPathTooLong if no socket can have that path.
//
// The socket appears at its path with its final mode and owner: it is bound
// inside a private folder and moved. The umask would do it as well, but is
// shared with whatever else creates files at that moment.
func Listen(o Options) (*Listener, error) {
	o = o.withDefaults()
	if err := ipc.CheckSocketPath(o.Path); err != nil {
		return nil, err
	}
	o.Path = filepath.Clean(o.Path)
	dir := filepath.Dir(o.Path)
	if err := checkDir(dir, o.Shared); err != nil {
		return nil, err
	}
	h := &holder{o: o}
	if err := h.take(); err != nil {
		return nil, err
	}
	inner, err := h.bind()
	if err != nil {
		h.release()
		return nil, err
	}
	l := newListener(o, inner)
	l.hold(h)
	return l, nil
}

// hold lets h see to the listener's path.
func (l *Listener) hold(h *holder) {
	l.still = h.isOurs
	l.clean = func() {
		if h.made && h.isOurs() {
			_ = os.Remove(h.o.Path)
		}
		h.release() // last: whoever waits for it may make its own socket now
	}
	l.restore = func() error {
		next, err := h.again()
		if err != nil || next == nil {
			return err
		}
		var made net.Listener = next
		return (*l.inner.Swap(&made)).Close()
	}
}

// checkDir makes the socket's folder if it is missing, and refuses one in
// which others could put a socket of theirs.
func checkDir(dir string, shared bool) error {
	mode := fs.FileMode(0o700)
	if shared {
		mode = 0o755
	}
	if err := ipc.MakeFolder(dir, mode); err != nil {
		return fmt.Errorf("the socket's folder can't be made: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("the socket's folder can't be read: %w", err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	switch perm := info.Mode().Perm(); {
	case !info.IsDir() || !ok:
		return fmt.Errorf("%s is not a folder: remove it%s", dir, orElsewhere(shared))
	case int(st.Uid) != os.Geteuid() && !(shared && st.Uid == 0):
		return fmt.Errorf("%s belongs to another user (uid %d): remove it%s", dir, st.Uid, orElsewhere(shared))
	case !shared && perm&0o077 != 0:
		return fmt.Errorf("%s is open to others (mode %04o): chmod 700 it", dir, perm)
	case perm&0o022 != 0:
		return fmt.Errorf("others may write to %s (mode %04o): chmod 755 it", dir, perm)
	}
	return nil
}

// orElsewhere is the other way out of a path that can't be used: that of a shared
// socket is not the environment's to choose.
func orElsewhere(shared bool) string {
	if shared {
		return ""
	}
	return ", or set " + ipc.EnvSocket + " to another path"
}

// takeLock takes the lock that an agent holds as long as it lives, on a file
// beside the socket that is never removed.
func takeLock(path string) (*flock.Flock, error) {
	name := lockName(path)
	lock := flock.New(name, flock.SetFlag(os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW), flock.SetPermissions(0o600))
	ok, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("the agent's lock can't be taken: %w", err)
	}
	if !ok {
		return nil, fmt.Errorf("%w: it holds %s", ErrRunning, name)
	}
	if info, err := lock.Stat(); err != nil || !isFile(name, info) {
		_ = lock.Unlock()
		return nil, fmt.Errorf("%s was replaced meanwhile: try again", name)
	}
	return lock, nil
}

func lockName(path string) string {
	name := filepath.Join(filepath.Dir(path), stem(path)+".lock")
	if name == path {
		name += ".lock"
	}
	return name
}

// stem returns the socket's name without its extension.
func stem(path string) string {
	name := filepath.Base(path)
	return cmp.Or(strings.TrimSuffix(name, filepath.Ext(name)), name)
}

// isFile reports whether path itself, not what it links to, is that file. A
// bound socket keeps its inode, so the number can't be another file's by now.
func isFile(path string, info fs.FileInfo) bool {
	now, err := os.Lstat(path)
	return err == nil && os.SameFile(now, info)
}

// bind makes the socket and moves it to its path.
func bind(o Options) (*net.UnixListener, fs.FileInfo, error) {
	if err := checkPath(o.Path, o.Shared); err != nil {
		return nil, nil, err
	}
	// Whoever holds the lock has this name to itself. It is short, so that it
	// fits wherever the path does.
	private := filepath.Join(filepath.Dir(o.Path), "."+stem(o.Path))
	name := filepath.Join(private, "s")
	if err := ipc.CheckSocketPath(name); err != nil {
		return nil, nil, err
	}
	tidy := func() {
		_ = os.Remove(name)
		_ = os.Remove(private)
	}
	tidy() // after an agent that was killed right here
	if err := os.Mkdir(private, 0o700); err != nil {
		return nil, nil, fmt.Errorf("the socket can't be made: %w", err)
	}
	defer tidy()
	inner, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if err != nil {
		return nil, nil, fmt.Errorf("the socket can't be made: %w", err)
	}
	inner.SetUnlinkOnClose(false)
	if err = os.Chmod(name, o.Mode); err == nil && o.GID != 0 {
		err = os.Chown(name, -1, o.GID)
	}
	var info fs.FileInfo
	if err == nil {
		info, err = os.Lstat(name)
	}
	if err == nil {
		err = os.Rename(name, o.Path)
	}
	if err != nil {
		_ = inner.Close()
		return nil, nil, fmt.Errorf("the socket can't be made: %w", err)
	}
	return inner, info, nil
}

// checkPath refuses a path at which somebody listens, or where something lies
// that is not a socket of ours.
func checkPath(path string, shared bool) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("the socket's path can't be read: %w", err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || info.Mode().Type() != fs.ModeSocket || int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s is in the way, and is not a socket of yours: remove it%s", path, orElsewhere(shared))
	}
	c, err := (&net.Dialer{Timeout: time.Second}).DialContext(context.Background(), "unix", path)
	if err == nil {
		_ = c.Close()
	}
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) {
		return nil // nobody listens; the move replaces what is left
	}
	return fmt.Errorf("%w: it listens at %s", ErrRunning, path)
}

// peerOf asks the kernel who connected.
func peerOf(c net.Conn) (Peer, error) { return ask(c, ipc.PeerOfSocket) }

// ask asks the kernel about the socket of a connection.
func ask[T any](c net.Conn, what func(fd int) (T, error)) (answer T, err error) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return answer, errors.New("not a socket")
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return answer, err
	}
	if ctlErr := raw.Control(func(fd uintptr) { answer, err = what(int(fd)) }); ctlErr != nil {
		return answer, ctlErr
	}
	return answer, err
}

// lists reports whether the peer is among uids or in one of gids. A number that
// stands for many users or groups lists none of them.
func lists(c net.Conn, p Peer, uids, gids []uint32) bool {
	listed := func(list []uint32, id uint32) bool { return slices.Contains(list, id) && !standsForMany(id) }
	if listed(uids, p.UID) {
		return true
	}
	if len(gids) == 0 {
		return false
	}
	groups, err := ask(c, groupsOf) // without those, the primary one counts
	return listed(gids, p.GID) || err == nil && slices.ContainsFunc(groups, func(g uint32) bool { return listed(gids, g) })
}

// GroupOf returns the group that owns a socket, where it is one that some users
// are put into: not root's, and none that stands for many.
func GroupOf(path string) (gid uint32, ok bool) {
	info, err := os.Lstat(path)
	if err != nil {
		return 0, false
	}
	st, isStat := info.Sys().(*syscall.Stat_t)
	if !isStat || st.Gid == 0 || standsForMany(st.Gid) {
		return 0, false
	}
	return st.Gid, true
}

// ownerOnly allows the agent's own user, and root if it may.
func ownerOnly(root bool) func(Peer) bool {
	self := uint32(os.Geteuid())
	if standsForMany(self) {
		return func(p Peer) bool { return root && p.UID == 0 }
	}
	return func(p Peer) bool { return p.UID == self || root && p.UID == 0 }
}

// adopt prepares a listener whose socket somebody else made. It holds the lock
// if that is free, so that an agent started by hand gives way; the socket's
// maker sees to it that there is only one. Where the socket is gone, since
// somebody removed it or its folder, its maker does not know: the agent makes
// one like it.
func (l *Listener) adopt() {
	h := &holder{o: l.o, kernel: func() {}}
	if info, err := os.Lstat(l.o.Path); err == nil {
		h.socket, h.o.Mode = info, info.Mode().Perm()
		if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Gid) != os.Getegid() {
			h.o.GID = int(st.Gid)
		}
	}
	if info, err := os.Lstat(filepath.Dir(l.o.Path)); err == nil {
		h.o.Shared = info.Mode().Perm()&0o077 != 0
	}
	if lock, err := takeLock(l.o.Path); err == nil {
		h.lock = lock
	}
	l.hold(h)
}

// maxFiles returns how many files the process may have open.
func maxFiles() int {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return math.MaxInt32
	}
	return int(min(l.Cur, math.MaxInt32))
}
