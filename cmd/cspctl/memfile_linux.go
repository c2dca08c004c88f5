package main

import (
	"errors"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// memFile returns a file in memory that has no name, can't be changed, and is gone
// when the last process that has it open has ended. With unix.MFD_CLOEXEC as flag,
// what this process becomes has it not.
func memFile(name string, flag int, content []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, flag|unix.MFD_NOEXEC_SEAL|unix.MFD_ALLOW_SEALING)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3
		fd, err = unix.MemfdCreate(name, flag|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	n, err := f.Write(content)
	if err == nil && n < len(content) {
		err = io.ErrShortWrite
	}
	if err == nil {
		err = unix.Fchmod(fd, 0o400)
	}
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SEAL|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// pathInside is where a file of this process's is found by itself, and by what
// takes its place.
func pathInside(f *os.File) string { return "/dev/fd/" + strconv.Itoa(int(f.Fd())) }

// pathOutside is where it is found by other processes of the user.
func pathOutside(f *os.File) string {
	return "/proc/" + strconv.Itoa(os.Getpid()) + "/fd/" + strconv.Itoa(int(f.Fd()))
}
