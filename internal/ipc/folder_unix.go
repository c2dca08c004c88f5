//go:build linux || darwin

package ipc

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// MakeFolder makes a socket's folder with the given mode, and missing ones
// above it with mode 0700, whatever the umask is. If the folder is there, its
// mode is left alone, except that an owner who is shut out of it is let in
// again, as after a program that made it under a umask of 0177. Above it,
// where others have made folders too, such a one is an error that says what to
// do.
func MakeFolder(dir string, mode fs.FileMode) error {
	dir = filepath.Clean(dir)
	if err := needFolder(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := newFolder(dir, mode); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return admitOwner(dir)
}

// admitOwner lets the owner of a folder in who is shut out of it.
func admitOwner(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if info.IsDir() && isOwner(info) && info.Mode().Perm()&0o700 != 0o700 {
		return os.Chmod(dir, info.Mode().Perm()|0o700)
	}
	return nil
}

// needFolder makes dir if it is missing, and returns an error that names the
// folder which is in the way.
func needFolder(dir string) error {
	info, err := os.Stat(dir)
	if err == nil {
		if !info.IsDir() {
			return fmt.Errorf("%s is not a folder", dir)
		}
		return openFor(dir, info, 0o100)
	}
	above := filepath.Dir(dir)
	if above == dir {
		return err
	}
	if up := needFolder(above); up != nil {
		return up
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := newFolder(dir, 0o700); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// newFolder is Mkdir without the umask.
func newFolder(dir string, mode fs.FileMode) error {
	err := os.Mkdir(dir, mode)
	if err == nil {
		return os.Chmod(dir, mode)
	}
	if info, bad := os.Stat(filepath.Dir(dir)); bad == nil && errors.Is(err, fs.ErrPermission) {
		if closed := openFor(filepath.Dir(dir), info, 0o300); closed != nil {
			return closed
		}
	}
	return err
}

// errClosed is wrapped by the error about a folder that shuts its owner out.
var errClosed = errors.New("closed to its owner")

// openFor returns an error if the folder is the user's own and yet lacks one
// of the owner's permissions in need, even where root gets by.
func openFor(dir string, info fs.FileInfo, need fs.FileMode) error {
	if perm := info.Mode().Perm(); isOwner(info) && perm&need != need {
		return fmt.Errorf("the folder is %w (mode %04o): chmod 700 %s", errClosed, perm, oneLine(dir))
	}
	return nil
}

// reopen lets the user into their own agent's folder again, if its mode keeps
// them out. It returns an error if another folder of theirs is in the way.
func reopen(path string) error {
	dir := filepath.Dir(path)
	if err := needFolder(filepath.Dir(dir)); errors.Is(err, errClosed) {
		return &Error{Code: CodeAgent, Message: "the agent's socket can't be reached: " + err.Error(), Err: err, Hint: "change its mode as shown, and try again"}
	}
	_ = admitOwner(dir)
	return nil
}
