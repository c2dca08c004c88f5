package sink

import (
	"fmt"
	"os"
)

// groups: access is by lists there, which files inherit from their folder.
const groups = false

func makeOwn(dir string) error { return os.MkdirAll(dir, 0o700) }

func checkFolder(dir string) error {
	info, err := os.Lstat(dir)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is not a folder", dir)
	}
	return err
}

func safeParent(dir string) error { return checkFolder(dir) }
