//go:build unix

package term

import "os"

func open() (*TTY, error) {
	f, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return &TTY{in: f, out: f}, nil
}
