//go:build unix

package keychain

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/cspctl/cspctl/internal/provider"
)

// checkKeyFile wants a key file that nobody else can read or change.
func checkKeyFile(info fs.FileInfo) error {
	if err := checkOwner(info); err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("its mode %04o lets others at it", mode)
	}
	return nil
}

// checkCredential is checkKeyFile for a file in $CREDENTIALS_DIRECTORY. systemd
// may grant access with an ACL, which shows as the group's bits.
func checkCredential(info fs.FileInfo) error {
	if err := checkOwner(info); err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&0o027 != 0 {
		return fmt.Errorf("its mode %04o lets others at it", mode)
	}
	return nil
}

func checkOwner(info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(st.Uid) != os.Getuid() && st.Uid != 0 {
		return errors.New("it belongs to somebody else")
	}
	return nil
}

// checkDir refuses a folder in which others could replace the store.
func checkDir(dir string) *provider.StoreError {
	info, err := os.Stat(dir)
	if err != nil {
		return unavailable(provider.File, "the folder of the file store can't be used: "+plain(err), "check "+dir, err)
	}
	if checkOwner(info) != nil || info.Mode().Perm()&0o022 != 0 {
		return unavailable(provider.File, "others can change the folder of the file store, "+dir, "make it your own and closed: chmod 700 "+dir, nil)
	}
	return nil
}
