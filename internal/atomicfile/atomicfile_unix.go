//go:build unix

package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// syncDir makes what was renamed or made in dir survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if errors.Is(err, os.ErrPermission) {
		return nil // a parent that may be entered, but not read: not ours to sync
	}
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		err = nil // a file system that knows no such thing
	}
	return errors.Join(err, d.Close())
}

func replace(from, to string) error { return os.Rename(from, to) }

// makePrivate has nothing to do: os.CreateTemp made the file with mode 0600.
func makePrivate(*os.File) error { return nil }

// keepOwner gives a new file the owner and group of the one that it replaces.
func keepOwner(f *os.File, _ string, was fs.FileInfo) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	want, ok := was.Sys().(*syscall.Stat_t)
	have, okHave := info.Sys().(*syscall.Stat_t)
	if !ok || !okHave || want.Uid == have.Uid && want.Gid == have.Gid {
		return nil
	}
	if err := f.Chown(int(want.Uid), int(want.Gid)); err != nil {
		return fmt.Errorf("%w %d:%d: %w", ErrOwner, want.Uid, want.Gid, err)
	}
	return nil
}
