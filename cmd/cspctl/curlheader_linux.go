package main

import (
	"errors"
	"strconv"

	"golang.org/x/sys/unix"
)

// passHeader puts a header where curl reads it, and nobody of another user: into
// a file in memory that has no name and can't be changed any more. It returns
// its path for curl, which takes the place of this process and has it open.
func passHeader(header string) (path string, done func(), err error) {
	const flags = unix.MFD_ALLOW_SEALING // not CLOEXEC: it is for curl
	fd, err := unix.MemfdCreate("header", flags|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3
		fd, err = unix.MemfdCreate("header", flags)
	}
	if err != nil {
		return "", nil, err
	}
	n, err := unix.Write(fd, []byte(header))
	if err == nil && n < len(header) {
		err = unix.EIO
	}
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_WRITE|unix.F_SEAL_GROW|unix.F_SEAL_SHRINK|unix.F_SEAL_SEAL)
	}
	if err != nil {
		_ = unix.Close(fd)
		return "", nil, err
	}
	return "/dev/fd/" + strconv.Itoa(fd), func() { _ = unix.Close(fd) }, nil
}
