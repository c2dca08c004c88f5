package loopback

import "sync"

// question asks who is at the other end of a connection: its uid, or on Windows
// the id of its process.
type question struct {
	ends
	owner uint32
	err   error // errNotListed if the table has no such row
	done  chan struct{}
}

// batch has one reading of the system's table answer everybody who waits. A
// reading takes milliseconds however few rows it has, so that whoever connects
// often would keep others waiting otherwise.
type batch struct {
	look func(asked []*question) // answers those that it finds

	mu      sync.Mutex
	waiting []*question
	reading bool
}

// peers are the questions of this process.
var peers = &batch{look: lookUp}

// ask waits for the answer of a reading that begins after it was called.
func (b *batch) ask(e ends) (owner uint32, err error) {
	q := &question{ends: e, done: make(chan struct{})}
	b.mu.Lock()
	b.waiting = append(b.waiting, q)
	if !b.reading {
		b.reading = true
		go b.read()
	}
	b.mu.Unlock()
	<-q.done
	return q.owner, q.err
}

// read answers until nobody waits.
func (b *batch) read() {
	for {
		b.mu.Lock()
		asked := b.waiting
		b.waiting = nil
		b.reading = len(asked) > 0
		b.mu.Unlock()
		if len(asked) == 0 {
			return
		}
		for _, q := range asked {
			q.err = errNotListed
		}
		b.look(asked)
		for _, q := range asked {
			close(q.done)
		}
	}
}

// fail answers questions with what went wrong.
func fail(asked []*question, err error) {
	for _, q := range asked {
		q.err = err
	}
}
