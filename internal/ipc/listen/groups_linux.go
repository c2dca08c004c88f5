package listen

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxGroups bounds the groups of a peer: NGROUPS_MAX of Linux.
const maxGroups = 65536

// groupsOf returns the supplementary groups of a connected peer, as they were
// when it connected (SO_PEERGROUPS, see unix(7)).
func groupsOf(fd int) ([]uint32, error) {
	groups := make([]uint32, 32)
	for {
		size := uint32(4 * len(groups))
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0)
		switch {
		case errno == 0:
			return groups[:size/4], nil
		case errno != unix.ERANGE || size/4 > maxGroups || int(size/4) <= len(groups):
			return nil, errno
		}
		groups = make([]uint32, size/4)
	}
}
