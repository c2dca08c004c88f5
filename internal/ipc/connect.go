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
	if !ownOnly && c.mayUseSystem() {
		conn, err := dial(systemSocket(), getenv, deadline)
		// Who may not use it, or finds it dead, has an agent of their own.
		if err == nil || !isAbsent(err) && !errors.Is(err, fs.ErrPermission) {
			return conn, systemSocket(), err
		}
	}
	if pathErr != nil {
		return nil, "", pathErr
	}
	conn, err := c.start(own, deadline)
	return conn, own, err
}

// mayUseSystem reports whether the system service is there for a user whose
// own agent does not answer.
func (c *Client) mayUseSystem() bool {
	if c.o.Getenv(EnvSocket) != "" || holdsProfiles(c.o.Getenv) {
		return false
	}
	info, err := os.Stat(systemSocket())
	return err == nil && info.Mode().Type() == fs.ModeSocket
}

// SocketPath returns the socket that requests for tokens would go to: that of
// the agent in use, or else of the one that would be started. It starts none.
func (c *Client) SocketPath() (string, error) {
	own, err := SocketPath(c.o.Getenv)
	if !c.mayUseSystem() {
		return own, err
	}
	if err == nil {
		conn, err := dial(own, c.o.Getenv, time.Now().Add(startWait))
		if err == nil {
			conn.close()
		}
		if err == nil || !isAbsent(err) {
			return own, nil
		}
	}
	return systemSocket(), nil
}
