package sink

import (
	"fmt"
	"os"
)

// groups: access is by lists there, of which a sink's file has one of its own; see
// atomicfile.Write.
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
