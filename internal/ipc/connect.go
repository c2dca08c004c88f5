package ipc

import (
	"errors"
	"io/fs"
	"os"
	"time"
)

// connect finds an agent that answers, in the order that Do documents, and
// starts one if there is none. It also returns the path, for messages.
func (c *Client) connect(ownOnly bool, deadline time.Time) (*conn, string, error) {
	getenv := c.o.Getenv
	if c.path != "" && !(ownOnly && c.path == systemSocket() && getenv(EnvSocket) == "") {
		if conn, err := dial(c.path, getenv, deadline); err == nil || !isAbsent(err) {
			return conn, c.path, err
		}
	}
	if !ownOnly && c.mayUseSystem() {
		if conn, err := dial(systemSocket(), getenv, deadline); err == nil || !isClosed(err) {
			return conn, systemSocket(), err
		}
	}
	own, pathErr := SocketPath(getenv)
	if pathErr == nil {
		conn, err := dial(own, getenv, deadline)
		if errors.Is(err, fs.ErrPermission) {
			if err := reopen(own); err != nil {
				return nil, own, err
			}
			conn, err = dial(own, getenv, deadline)
		}
		if err == nil || !isAbsent(err) {
			return conn, own, err
		}
	}
	if pathErr != nil {
		return nil, "", pathErr
	}
	conn, err := c.start(own, deadline)
	return conn, own, err
}

// mayUseSystem reports whether the system service is there for a user who has
// no profiles: an agent of that user's own, which a socket unit may start, would
// know none of those that are asked for.
func (c *Client) mayUseSystem() bool {
	if c.o.Getenv(EnvSocket) != "" {
		return false
	}
	info, err := os.Stat(systemSocket())
	return err == nil && info.Mode().Type() == fs.ModeSocket && !holdsProfiles(c.o.Getenv)
}

// isClosed reports whether the system's service is dead, or closed to this user:
// whoever finds it so has an agent of their own.
func isClosed(err error) bool { return isAbsent(err) || errors.Is(err, fs.ErrPermission) }

// SocketPath returns the socket that requests for tokens would go to: that of
// the agent in use, or else of the one that would be started. It starts none.
func (c *Client) SocketPath() (string, error) {
	if c.mayUseSystem() {
		conn, err := dial(systemSocket(), c.o.Getenv, time.Now().Add(startWait))
		if err == nil {
			conn.close()
		}
		if err == nil || !isClosed(err) {
			return systemSocket(), nil
		}
	}
	return SocketPath(c.o.Getenv)
}
