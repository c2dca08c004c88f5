package ipc

import "golang.org/x/sys/unix"

func fcntl(fd, cmd, arg int) (int, error) { return unix.FcntlInt(uintptr(fd), cmd, arg) }
