//go:build linux || darwin

package ipc

import (
	"io"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// conn is a connection to the agent. It is made of blocking system calls with
// a time limit each: package net and its poller would cost a short-lived
// program a third of its start-up time.
type conn struct{ fd int }

// dial connects to the socket at path and checks who listens there, before
// anything is written. While the backlog is full it waits.
func dial(path string, getenv func(string) string, deadline time.Time) (*conn, error) {
	refusals := 0
	var wait pause
	for {
		c, err := connectOnce(path, deadline)
		if err == nil {
			if err := checkListener(c.fd, path, getenv); err != nil {
				c.close()
				return nil, err
			}
			return c, nil
		}
		switch err {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN: // the backlog is full
		case syscall.ECONNREFUSED:
			// Perhaps the backlog is full; a socket that a dead agent left
			// behind refuses for ever.
			if refusals++; !refusedWhenFull || refusals > 6 {
				return nil, err
			}
		default:
			return nil, err
		}
		if !wait.until(deadline) {
			return nil, os.ErrDeadlineExceeded
		}
	}
}

func connectOnce(path string, deadline time.Time) (*conn, error) {
	fd, err := newSocket()
	if err != nil {
		return nil, err
	}
	c := &conn{fd}
	if err = c.limit(syscall.SO_SNDTIMEO, deadline); err == nil {
		err = syscall.Connect(fd, &syscall.SockaddrUnix{Name: path})
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// limit lets the next calls of one direction last until the deadline.
func (c *conn) limit(option int, deadline time.Time) error {
	left := time.Until(deadline)
	if left <= 0 {
		return os.ErrDeadlineExceeded
	}
	// Zero would mean no limit at all.
	tv := syscall.NsecToTimeval(int64(max(left, time.Millisecond)))
	return syscall.SetsockoptTimeval(c.fd, syscall.SOL_SOCKET, option, &tv)
}

func (c *conn) read(p []byte, deadline time.Time) (int, error) {
	for {
		if err := c.limit(syscall.SO_RCVTIMEO, deadline); err != nil {
			return 0, err
		}
		n, err := syscall.Read(c.fd, p)
		switch {
		case err == syscall.EINTR || err == syscall.EAGAIN:
			continue
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		}
		return n, nil
	}
}

func (c *conn) write(p []byte, deadline time.Time) error {
	for len(p) > 0 {
		if err := c.limit(syscall.SO_SNDTIMEO, deadline); err != nil {
			return err
		}
		n, err := syscall.SendmsgN(c.fd, p, nil, nil, sendFlags)
		if err != nil && err != syscall.EINTR && err != syscall.EAGAIN {
			return err
		}
		p = p[max(n, 0):]
	}
	return nil
}

func (c *conn) close() { _ = syscall.Close(c.fd) }

// checkListener returns an *Error unless whoever listens is the user itself,
// whom CSP_AGENT_UID names, or, for the sockets of the system service, root or
// the service's user. Whose credentials they are: those of listen(2), so of
// systemd for a socket that it passed on.
func checkListener(fd int, path string, getenv func(string) string) error {
	fail := func(message, hint string) error {
		return &Error{Code: CodeAgent, Message: message, Hint: hint}
	}
	peer, err := PeerOfSocket(fd)
	if err != nil {
		return fail("can't tell who listens at "+oneLine(path)+": "+err.Error(), "check "+EnvSocket)
	}
	if int(peer.UID) == os.Geteuid() {
		return nil
	}
	if s := getenv(EnvUID); s != "" {
		uid, err := strconv.ParseUint(s, 10, 32)
		if err != nil {
			return fail(EnvUID+" is not a numeric uid: "+printable(s), "set it to the uid that the agent runs as, or unset it")
		}
		if peer.UID == uint32(uid) {
			return nil
		}
	}
	if dir := filepath.Dir(filepath.Clean(path)); dir == systemDir {
		if peer.UID == 0 {
			return nil
		}
		if info, err := os.Lstat(dir); err == nil && info.IsDir() {
			if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid == peer.UID {
				return nil
			}
		}
	}
	uid := strconv.FormatUint(uint64(peer.UID), 10)
	return fail("another user (uid "+uid+") listens at "+oneLine(path),
		"if that agent is meant, set "+EnvUID+"="+uid+"; otherwise unset "+EnvSocket+" or remove the socket")
}
