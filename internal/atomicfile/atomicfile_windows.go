package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"
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

// keepOwner does nothing: a file belongs to who made it, and inherits the rights of
// its folder.
func keepOwner(*os.File, fs.FileInfo) error { return nil }
