//go:build linux || darwin

package doctor

import (
	"io/fs"
	"os"
	"strings"
	"syscall"
)

func owner(path string) (uid int, err error) {
	st, err := os.Stat(path)
	if err != nil {
		return -1, err
	}
	return ownerOf(st), nil
}

func ownerOf(st fs.FileInfo) int {
	if s, ok := st.Sys().(*syscall.Stat_t); ok {
		return int(s.Uid)
	}
	return -1
}

// quote writes a path for a shell.
func quote(path string) string {
	plain := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("/._-+:@%,", r)
	}
	if path != "" && strings.IndexFunc(path, func(r rune) bool { return !plain(r) }) < 0 {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
