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
//
// Wine 8 differs in two points, and a knock at the door settles both: it makes
// a first instance where there is one already, and it connects clients to
// go-winio's first instance, which only holds the name and is never served.
func Listen(o Options) (*Listener, error) {
	o = o.withDefaults()
	if err := ipc.CheckSocketPath(o.Path); err != nil {
		return nil, err
	}
	running := fmt.Errorf("%w: it listens at %s", ErrRunning, o.Path)
	if err := knock(o.Path); err == nil || isTaken(err) {
		return nil, running
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
	if isTaken(err) {
		return nil, running
	}
	if err != nil {
		return nil, fmt.Errorf("the pipe can't be made: %w", err)
	}
	// On Windows the pipe is busy until Accept. In wine this takes the place
	// of the client who would wait for an answer forever.
	_ = knock(o.Path)
	return newListener(o, inner), nil
}

// isTaken reports whether a pipe can't be opened, or made, since there is one.
func isTaken(err error) bool {
	return errors.Is(err, windows.ERROR_ACCESS_DENIED) || errors.Is(err, windows.ERROR_PIPE_BUSY) || errors.Is(err, windows.ERROR_ALREADY_EXISTS)
}

// knock connects to a pipe and hangs up.
func knock(path string) error {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return err
	}
	// Anonymous: whoever made the pipe can't act in this user's name.
	const flags = windows.SECURITY_SQOS_PRESENT | windows.SECURITY_ANONYMOUS
	h, err := windows.CreateFile(name, windows.GENERIC_READ, 0, nil, windows.OPEN_EXISTING, flags, 0)
	if err != nil {
		return err
	}
	return windows.CloseHandle(h)
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
