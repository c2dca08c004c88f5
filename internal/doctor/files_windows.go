package doctor

import (
	"io/fs"

	"golang.org/x/sys/windows"
)

// filesFine is what is known if nothing is wrong.
const filesFine = "the state can be read; the profile's folder closes it to others"

// access: the folders of a profile are closed by the lists that they inherit.
func access(string, fs.FileInfo, bool) []Finding { return nil }

// space returns the bytes that this user can still write.
func space(dir string) (free uint64, readOnly bool, err error) {
	name, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, false, err
	}
	err = windows.GetDiskFreeSpaceEx(name, &free, nil, nil)
	return free, false, err
}

func writable(dir string) bool {
	name, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return false
	}
	h, err := windows.CreateFile(name, windows.FILE_GENERIC_WRITE, windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE|windows.FILE_SHARE_DELETE,
		nil, windows.OPEN_EXISTING, windows.FILE_FLAG_BACKUP_SEMANTICS, 0)
	if err != nil {
		return false
	}
	_ = windows.CloseHandle(h)
	return true
}
