//go:build unix

package sink

import (
	"fmt"
	"os"
	"syscall"
)

const groups = true

// makeOwn makes the agent's folder for tokens, whatever the umask is.
func makeOwn(dir string) error {
	if _, err := os.Lstat(dir); err == nil {
		return nil // checkFolder says what it is
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.Chmod(dir, 0o700)
}

// checkFolder returns an error unless a folder is the user's own, and nobody
// else can write to it.
func checkFolder(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir() || !ok:
		return fmt.Errorf("%s is not a folder", dir)
	case int(st.Uid) != os.Geteuid():
		return fmt.Errorf("the folder %s is another user's", dir)
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("others can write to the folder %s (mode %04o)", dir, info.Mode().Perm())
	}
	return nil
}

// safeParent returns an error where another user than root could replace what is
// in a folder. A sticky one (/tmp) keeps what is the user's own.
func safeParent(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || st.Uid != 0 && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("the folder %s is another user's", dir)
	}
	if info.Mode().Perm()&0o022 != 0 && info.Mode()&os.ModeSticky == 0 {
		return fmt.Errorf("others can write to the folder %s (mode %04o)", dir, info.Mode().Perm())
	}
	return nil
}
