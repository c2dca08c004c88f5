//go:build unix

package atomicfile

import (
	"os"
	"syscall"
)

// openNoWait opens with O_NONBLOCK, since to open a named pipe would wait for
// its other end.
func openNoWait(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}
