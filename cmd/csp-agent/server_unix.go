//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"

	"github.com/cspctl/cspctl/internal/ipc"
)

// serverOf returns the process that listens at a socket, by the kernel; 0 if
// there is none. One of another user is an error.
func serverOf(ctx context.Context, path string) (pid int, err error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOTDIR):
		return 0, nil
	case err != nil:
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	var peer ipc.Peer
	if ctlErr := raw.Control(func(fd uintptr) { peer, err = ipc.PeerOfSocket(int(fd)) }); ctlErr != nil || err != nil {
		return 0, errors.Join(ctlErr, err)
	}
	switch {
	case int(peer.UID) != os.Geteuid():
		return 0, fmt.Errorf("another user (uid %d) listens at %s", peer.UID, path)
	case peer.PID <= 1:
		return 0, fmt.Errorf("whoever listens at %s is not a process here, as where a container shares its socket", path)
	}
	return peer.PID, nil
}

// terminate asks a process to end, also one that was stopped.
func terminate(pid int) error {
	err := syscall.Kill(pid, syscall.SIGTERM)
	_ = syscall.Kill(pid, syscall.SIGCONT)
	return err
}

func kill(pid int) error { return syscall.Kill(pid, syscall.SIGKILL) }
