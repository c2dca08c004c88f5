package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/windows"
)

// syncDir does nothing: NTFS journals names by itself, and a folder's handle
// can't be flushed.
func syncDir(string) error { return nil }

const errorSharingViolation = syscall.Errno(32) // winerror.h

// replace renames. A file that somebody has open, a reader of ours or a virus
// scanner, can't be replaced at that moment, so it tries for a second.
func replace(from, to string) error {
	for wait := time.Millisecond; ; wait *= 2 {
		err := os.Rename(from, to)
		passes := errors.Is(err, syscall.ERROR_ACCESS_DENIED) || errors.Is(err, errorSharingViolation)
		if !passes || wait > 512*time.Millisecond {
			return err
		}
		time.Sleep(wait)
	}
}

// makePrivate gives a new file an access list of its own, whatever its folder
// passes on: a folder in C:\ lets all users of the machine read.
func makePrivate(f *os.File) error {
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return err
	}
	// Full access for SYSTEM, administrators and the user, and nothing inherited:
	// https://learn.microsoft.com/windows/win32/secauthz/ace-strings
	list, err := windows.SecurityDescriptorFromString("D:P(A;;FA;;;SY)(A;;FA;;;BA)(A;;FA;;;" + user.User.Sid.String() + ")")
	if err != nil {
		return err
	}
	if err := setList(f, list); err != nil {
		return fmt.Errorf("close it to other users: %w", err)
	}
	return nil
}

// setList gives a file that others may have open the access list of a descriptor.
func setList(f *os.File, list *windows.SECURITY_DESCRIPTOR) error {
	name, err := windows.UTF16PtrFromString(f.Name())
	if err != nil {
		return err
	}
	const all = windows.FILE_SHARE_READ | windows.FILE_SHARE_WRITE | windows.FILE_SHARE_DELETE
	h, err := windows.CreateFile(name, windows.WRITE_DAC, all, nil, windows.OPEN_EXISTING, 0, 0)
	if err == nil {
		// Not SetSecurityInfo: wine merges the folder's list into it all the same.
		err = errors.Join(windows.SetKernelObjectSecurity(h, windows.DACL_SECURITY_INFORMATION, list), windows.CloseHandle(h))
	}
	return err
}

// keepOwner gives a new file the access list of the one that it replaces. It
// belongs to who makes it: only administrators may say otherwise.
func keepOwner(f *os.File, path string, _ fs.FileInfo) error {
	list, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION)
	if err == nil {
		err = setList(f, list)
	}
	if err != nil {
		return fmt.Errorf("%w: its access list: %w", ErrOwner, err)
	}
	return nil
}
