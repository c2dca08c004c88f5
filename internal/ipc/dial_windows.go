package ipc

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/Microsoft/go-winio"
	"golang.org/x/sys/windows"
)

// conn is a connection to the agent's named pipe.
type conn struct{ c net.Conn }

// dial connects to the pipe and checks who made it, before anything is
// written: a name that is free can be taken by any process of the machine.
func dial(path string, getenv func(string) string, deadline time.Time) (*conn, error) {
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	c, err := winio.DialPipeContext(ctx, path)
	if err != nil {
		if ctx.Err() != nil {
			return nil, os.ErrDeadlineExceeded
		}
		return nil, err
	}
	if err := checkOwner(c, path, getenv); err != nil {
		_ = c.Close()
		return nil, err
	}
	return &conn{c}, nil
}

func checkOwner(c net.Conn, path string, getenv func(string) string) error {
	fail := func(message string, cause error) error {
		return &Error{Code: CodeAgent, Message: message, Err: cause,
			Hint: "if that agent is meant, set " + EnvUID + " to its SID; otherwise unset " + EnvSocket}
	}
	f, ok := c.(interface{ Fd() uintptr })
	if !ok {
		return fail("can't tell who listens at "+oneLine(path), nil)
	}
	sd, err := windows.GetSecurityInfo(windows.Handle(f.Fd()), windows.SE_KERNEL_OBJECT, windows.OWNER_SECURITY_INFORMATION)
	if err != nil {
		return fail("can't tell who listens at "+oneLine(path)+": "+words(err), err)
	}
	owner, _, err := sd.Owner()
	if err != nil {
		return fail("can't tell who listens at "+oneLine(path)+": "+words(err), err)
	}
	ours, err := UserSID()
	if err != nil {
		return fail("the user's SID can't be read: "+words(err), err)
	}
	if sid := owner.String(); sid != ours && sid != getenv(EnvUID) {
		return fail("another user ("+oneLine(sid)+") listens at "+oneLine(path), nil)
	}
	return nil
}

func (c *conn) read(p []byte, deadline time.Time) (int, error) {
	if err := c.c.SetReadDeadline(deadline); err != nil {
		return 0, err
	}
	n, err := c.c.Read(p)
	if n > 0 {
		return n, nil
	}
	return 0, timedOut(err)
}

func (c *conn) write(p []byte, deadline time.Time) error {
	if err := c.c.SetWriteDeadline(deadline); err != nil {
		return err
	}
	_, err := c.c.Write(p)
	if errors.Is(err, windows.ERROR_NO_DATA) || errors.Is(err, windows.ERROR_BROKEN_PIPE) || errors.Is(err, windows.ERROR_PIPE_NOT_CONNECTED) {
		return syscall.EPIPE // as isHangup knows it
	}
	return timedOut(err)
}

func (c *conn) close() { _ = c.c.Close() }

func timedOut(err error) error {
	if t, ok := errors.AsType[net.Error](err); ok && t.Timeout() {
		return os.ErrDeadlineExceeded
	}
	return err
}
