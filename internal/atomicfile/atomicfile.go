// Package atomicfile replaces a file as a whole: whoever reads it, also after
// a crash or on a full disk, finds either the old content or the new one.
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Write makes data the content of the file at path, readable and writable by
// its owner alone (mode 0600; on Windows also by SYSTEM and administrators), and
// returns when the disk has it. Missing
// folders on the way are made with mode 0700. On an error the old content is
// untouched, but for an error from making the rename durable, where either
// content may survive a power cut.
//
// A symbolic link at path is replaced, never followed. What is neither that nor
// a regular file, such as a device, is left alone, with an error.
func Write(path string, data []byte) error {
	dir := filepath.Dir(path)
	if err := makeDir(dir); err != nil {
		return fmt.Errorf("make the folder: %w", err)
	}
	return WriteMode(path, data, 0o600)
}

// ErrNotAFile is wrapped by the error of a write to what is no file.
var ErrNotAFile = errors.New("it is not a regular file")

// WriteMode is Write for a file that others may read, in a folder that is
// there already.
func WriteMode(path string, data []byte, mode fs.FileMode) error {
	return write(path, data, mode, nil)
}

// Rewrite makes data the content of a file that is there already and that people
// keep: its mode, its owner and group (on Windows its access list), and a symbolic
// link at path stay. Where that can't be, it returns an error, which wraps ErrOwner
// if it is for the owner, and the file is as it was.
func Rewrite(path string, data []byte) error {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return write(path, data, info.Mode().Perm(), info)
}

// ErrOwner is wrapped by the error of a Rewrite that can't keep the owner.
var ErrOwner = errors.New("its owner can't be kept")

// write is WriteMode; where was is not nil, with the owner and group of that file.
func write(path string, data []byte, mode fs.FileMode, was fs.FileInfo) error {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() && info.Mode().Type() != fs.ModeSymlink {
		return &fs.PathError{Op: "replace", Path: path, Err: ErrNotAFile}
	}
	dir := filepath.Dir(path)
	// CreateTemp opens with O_EXCL and mode 0600 under a name that nobody can
	// have guessed; in the same folder, since a rename can't cross file systems.
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return fmt.Errorf("make a temporary file: %w", err)
	}
	if err := fill(f, data, mode, path, was); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if err := replace(f.Name(), path); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(dir)
}

// Sweep removes what writers of the file at path left behind that were killed.
// No other may be at work on it: the caller holds a lock.
func Sweep(path string) {
	dir, base := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		// What os.CreateTemp put for the star are digits: those of a file whose name
		// begins as this one's, with a dot behind it, are somebody else's.
		middle, isTemp := strings.CutPrefix(e.Name(), "."+base+".")
		middle, ends := strings.CutSuffix(middle, ".tmp")
		if isTemp && ends && middle != "" && strings.Trim(middle, "0123456789") == "" {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

func fill(f *os.File, data []byte, mode fs.FileMode, path string, was fs.FileInfo) error {
	var err error
	if mode == 0o600 {
		err = makePrivate(f)
	}
	if err == nil {
		_, err = f.Write(data)
	}
	if err == nil && was != nil {
		err = keepOwner(f, path, was) // before the mode: a group must not read it that may not
	}
	if err == nil && mode != 0o600 {
		err = f.Chmod(mode) // whatever the umask is
	}
	if err == nil {
		// Before the rename: else the new name may survive a crash that the
		// new content does not.
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// makeDir is MkdirAll that makes each new folder durable in its parent.
func makeDir(dir string) error {
	switch info, err := os.Stat(dir); {
	case err == nil && !info.IsDir():
		return &fs.PathError{Op: "mkdir", Path: dir, Err: errors.New("there is a file of this name")}
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	parent := filepath.Dir(dir)
	if parent == dir {
		return &fs.PathError{Op: "mkdir", Path: dir, Err: fs.ErrNotExist}
	}
	if err := makeDir(parent); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(parent)
}
