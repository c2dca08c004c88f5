package term

import "os"

func open() (*TTY, error) {
	// Reading a console's mode and changing it both need O_RDWR.
	in, err := os.OpenFile("CONIN$", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	out, err := os.OpenFile("CONOUT$", os.O_RDWR, 0)
	if err != nil {
		_ = in.Close()
		return nil, err
	}
	return &TTY{in: in, out: out}, nil
}
