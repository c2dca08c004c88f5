package term

import (
	"os"

	"golang.org/x/sys/windows"
)

// Windows tells nobody of a new size: whoever draws asks each time.
var screenSignals = []os.Signal{os.Interrupt}

func eventOf(os.Signal) Event { return Ended }

// Suspend does nothing: consoles have no jobs.
func (s *Screen) Suspend() error { return nil }

// outputMode is how a console takes output: sequences are an option of it.
type outputMode struct {
	before uint32
	known  bool
}

func (m *outputMode) set(f *os.File) {
	h := windows.Handle(f.Fd())
	var mode uint32
	if windows.GetConsoleMode(h, &mode) != nil {
		return
	}
	if !m.known {
		m.before, m.known = mode, true
	}
	_ = windows.SetConsoleMode(h, mode|windows.ENABLE_PROCESSED_OUTPUT|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING)
}

func (m *outputMode) restore(f *os.File) {
	if m.known {
		_ = windows.SetConsoleMode(windows.Handle(f.Fd()), m.before)
	}
}
