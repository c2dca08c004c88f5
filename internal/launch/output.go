package launch

import (
	"os"
	"time"
)

// maxStderr is how much of what a program says is kept, in bytes.
const maxStderr = 4 << 10

// stderr is a pipe that keeps the beginning of what is written to it, and
// takes the rest, so that writers neither wait nor die.
type stderr struct {
	r, w *os.File
	done chan struct{} // closed when all writers have closed it
	head []byte        // read once done
}

func newStderr() (*stderr, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	return &stderr{r: r, w: w, done: make(chan struct{})}, nil
}

// started closes the writer's end, which the program has by now.
func (s *stderr) started() {
	_ = s.w.Close()
	go func() {
		defer close(s.done)
		b := make([]byte, 32<<10)
		for {
			n, err := s.r.Read(b)
			s.head = append(s.head, b[:min(n, maxStderr-len(s.head))]...)
			if err != nil {
				return
			}
		}
	}()
}

// drained waits for the last writer, but not longer than until limit.
func (s *stderr) drained(limit <-chan time.Time) {
	select {
	case <-s.done:
	case <-limit:
	}
}

// close ends the pipe, whoever still holds the other end, and returns what was
// kept, cleaned.
func (s *stderr) close() string {
	_ = s.r.Close()
	<-s.done
	return clean(string(s.head))
}

// discard is close for a program that did not start.
func (s *stderr) discard() {
	_ = s.w.Close()
	_ = s.r.Close()
}
