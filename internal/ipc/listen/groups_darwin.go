package listen

import "golang.org/x/sys/unix"

// groupsOf returns the groups of a connected peer that the kernel tells: the
// primary one and the first 15 others (LOCAL_PEERCRED, see unix(4)).
func groupsOf(fd int) ([]uint32, error) {
	cred, err := unix.GetsockoptXucred(fd, unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	if err != nil {
		return nil, err
	}
	return cred.Groups[:min(max(int(cred.Ngroups), 0), len(cred.Groups))], nil
}
