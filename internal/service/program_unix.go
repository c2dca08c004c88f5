//go:build unix

package service

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// checkProgram refuses a program that others than the service's owner could
// replace: it, and each folder above it, must be root's, or for a user's service
// that user's own, and closed to writing by everybody.
func checkProgram(path string, scope Scope) error {
	for at := path; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err != nil {
			return err
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return fmt.Errorf("whose %s is can't be told", at)
		}
		if owner := int(st.Uid); owner != 0 && (scope == System || owner != os.Geteuid()) {
			return fmt.Errorf("%s belongs to another user (uid %d), who could replace the service's program: install csp-agent to /usr/local/bin", at, owner)
		}
		if info.Mode().Perm()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0 {
			return fmt.Errorf("everybody may write to %s, and replace the service's program: chmod o-w it, or install csp-agent to /usr/local/bin", at)
		}
		if at == filepath.Dir(at) {
			return nil
		}
	}
}
