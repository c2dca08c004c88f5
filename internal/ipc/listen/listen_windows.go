package listen

import (
	"errors"
	"fmt"
	"math"
	"net"

	"github.com/Microsoft/go-winio"
	"golang.org/x/sys/windows"

	"github.com/cspctl/cspctl/internal/ipc"
)

// Listen makes a named pipe. Its error wraps ErrRunning if another agent has
// it. The pipe's access list names the user's SID alone; it is made as the
// first instance of its name or not at all, so nobody can have made it before
// with another list. Mode, GID and Shared have no meaning here.
func Listen(o Options) (*Listener, error) {
	o = o.withDefaults()
	if err := ipc.CheckSocketPath(o.Path); err != nil {
		return nil, err
	}
	sid, err := ipc.UserSID()
	if err != nil {
		return nil, fmt.Errorf("the user's SID can't be read: %w", err)
	}
	// Owner and only entry of a protected list: the user. Not from the network.
	inner, err := winio.ListenPipe(o.Path, &winio.PipeConfig{
		SecurityDescriptor: "O:" + sid + "D:P(D;;GA;;;NU)(A;;GA;;;" + sid + ")",
		InputBufferSize:    ipc.MaxRequestBody,
		OutputBufferSize:   ipc.MaxReplyBody,
	})
	if errors.Is(err, windows.ERROR_ACCESS_DENIED) || errors.Is(err, windows.ERROR_PIPE_BUSY) || errors.Is(err, windows.ERROR_ALREADY_EXISTS) {
		return nil, fmt.Errorf("%w: it listens at %s", ErrRunning, o.Path)
	}
	if err != nil {
		return nil, fmt.Errorf("the pipe can't be made: %w", err)
	}
	return newListener(o, inner), nil
}

// peerOf returns the client's pid; the access list has decided on its user.
func peerOf(c net.Conn) (Peer, error) {
	var pid uint32
	if f, ok := c.(interface{ Fd() uintptr }); ok {
		if err := windows.GetNamedPipeClientProcessId(windows.Handle(f.Fd()), &pid); err != nil {
			pid = 0 // only shown
		}
	}
	return Peer{PID: int(pid)}, nil
}

func ownerOnly(bool) func(Peer) bool { return func(Peer) bool { return true } }

func lists(net.Conn, Peer, []uint32, []uint32) bool { return false }

// GroupOf: a pipe has no group.
func GroupOf(string) (gid uint32, ok bool) { return 0, false }

func (l *Listener) adopt() {}

func maxFiles() int { return math.MaxInt32 }
