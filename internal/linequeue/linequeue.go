// Package linequeue writes lines to where writing may stall, such as a pipe
// that nobody reads or a disk that hangs, without its callers waiting for it.
package linequeue

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// Queue writes lines one after the other, in the order in which they were put,
// from a goroutine of its own. When it is full it drops further ones, and says
// how many at the place where they are missing. What is in it when the process
// is killed is lost.
type Queue struct {
	limit int // bytes
	write func(line []byte)
	lost  func(lines int)

	mu      sync.Mutex
	waiting []entry
	size    int // bytes put and not yet written
	dropped int // since the last entry
	closed  bool

	wake chan struct{} // holds a token if the writer has something to look at
	done chan struct{} // closed once the writer has ended
}

type entry struct {
	line []byte
	lost int // lines dropped before it
}

// New returns a queue of at most limit bytes. Both functions are called from
// its goroutine alone.
func New(limit int, write func(line []byte), lost func(lines int)) *Queue {
	q := &Queue{limit: limit, write: write, lost: lost, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go q.run()
	return q
}

// Put adds a copy of a line. It never waits for a write.
func (q *Queue) Put(line []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || q.size+len(line) > q.limit {
		q.dropped++
	} else {
		q.waiting = append(q.waiting, entry{append([]byte(nil), line...), q.dropped})
		q.size += len(line)
		q.dropped = 0
	}
	q.rouse()
}

// Write makes a Queue an io.Writer for those who write whole lines. It always
// succeeds.
func (q *Queue) Write(line []byte) (int, error) {
	q.Put(line)
	return len(line), nil
}

// ErrStalled is wrapped by the error of Close if lines are left.
var ErrStalled = errors.New("writing has stalled")

// Close waits until all lines are written, but not longer than patience. Lines
// put after it are dropped.
func (q *Queue) Close(patience time.Duration) error {
	q.mu.Lock()
	q.closed = true
	q.rouse()
	q.mu.Unlock()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	select {
	case <-q.done:
		return nil
	case <-limit.C:
		q.mu.Lock()
		defer q.mu.Unlock()
		return fmt.Errorf("%w: %d bytes are lost", ErrStalled, q.size)
	}
}

func (q *Queue) rouse() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *Queue) run() {
	defer close(q.done)
	for {
		<-q.wake
		q.mu.Lock()
		batch, dropped, closed := q.waiting, 0, q.closed
		q.waiting = nil
		if len(batch) == 0 { // else the next entry tells, or the next round
			dropped, q.dropped = q.dropped, 0
		}
		q.mu.Unlock()
		for _, e := range batch {
			if e.lost > 0 {
				q.lost(e.lost)
			}
			q.write(e.line)
			q.mu.Lock()
			q.size -= len(e.line)
			q.mu.Unlock()
		}
		switch {
		case len(batch) > 0:
			q.mu.Lock()
			q.rouse() // whatever came meanwhile
			q.mu.Unlock()
		case dropped > 0:
			q.lost(dropped)
			fallthrough
		default:
			if closed {
				return
			}
		}
	}
}
