//go:build unix

package term

import (
	"os"
	"syscall"
	"time"
)

var screenSignals = []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGWINCH, syscall.SIGCONT}

func eventOf(sig os.Signal) Event {
	switch sig {
	case syscall.SIGWINCH:
		return Resized
	case syscall.SIGCONT:
		return Resumed
	}
	return Ended
}

// Suspend stops the process and all of its job, as Ctrl-Z does where keys make
// signals. It returns when the job goes on, or at once where no shell could
// make it go on: the kernel stops no orphans.
func (s *Screen) Suspend() error {
	s.leave()
	_ = syscall.Kill(0, syscall.SIGTSTP)
	time.Sleep(50 * time.Millisecond) // another thread may take the signal
	return s.Resume()
}

// outputMode is nothing here: terminals understand sequences as they are.
type outputMode struct{}

func (outputMode) set(*os.File)     {}
func (outputMode) restore(*os.File) {}
