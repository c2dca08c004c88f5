//go:build linux || darwin

package doctor

import (
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// filesFine is what is known if nothing is wrong.
const filesFine = "state, audit log, file store and settings are this user's alone to write"

// access looks at the owner and mode of one file or folder.
func access(path string, st fs.FileInfo, secret bool) []Finding {
	mode, chmod := st.Mode().Perm(), "chmod 600 "
	if st.IsDir() {
		chmod = "chmod 700 "
	}
	switch uid := ownerOf(st); {
	case uid != os.Geteuid() && uid != 0:
		return []Finding{fail(fmt.Sprintf("%s belongs to another user (uid %d)", path, uid), fmt.Sprintf("sudo chown %d %s", os.Geteuid(), quote(path)))}
	case uid != os.Geteuid() && secret:
		return []Finding{fail(path+" belongs to root, as after a run with sudo", fmt.Sprintf("sudo chown %d %s", os.Geteuid(), quote(path)))}
	case mode&0o022 != 0:
		return []Finding{fail(fmt.Sprintf("others may write to %s (mode %04o)", path, mode), chmod+quote(path))}
	case secret && mode&0o077 != 0:
		return []Finding{warn(fmt.Sprintf("others may read %s (mode %04o)", path, mode), chmod+quote(path))}
	}
	return nil
}

// space returns the bytes that this user can still write.
func space(dir string) (free uint64, readOnly bool, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, false, os.NewSyscallError("statfs", err)
	}
	return s.Bavail * uint64(s.Bsize), isReadOnly(&s), nil //nolint:gosec // a block's size is positive
}

func writable(dir string) bool { return unix.Access(dir, unix.W_OK) == nil }
