package linequeue_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cspctl/cspctl/internal/linequeue"
)

// sink keeps what was written, and stalls while its gate is shut.
type sink struct {
	gate chan struct{}
	got  []string
}

func (s *sink) write(line []byte) {
	<-s.gate
	s.got = append(s.got, string(line))
}

func (s *sink) lost(n int) { s.got = append(s.got, fmt.Sprint(n, " lost")) }

func TestEveryLineInOrder(t *testing.T) {
	s := &sink{gate: make(chan struct{})}
	close(s.gate)
	q := linequeue.New(1<<20, s.write, s.lost)
	var want []string
	buf := make([]byte, 0, 16)
	for i := range 5000 {
		buf = fmt.Append(buf[:0], i) // the caller's memory is its own again
		if n, err := q.Write(buf); n != len(buf) || err != nil {
			t.Fatal(n, err)
		}
		want = append(want, fmt.Sprint(i))
	}
	if err := q.Close(time.Minute); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.got, want) {
		t.Errorf("got %d lines, want %d in their order", len(s.got), len(want))
	}
}

func TestFullQueueDropsAndSaysWhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{gate: make(chan struct{})}
		q := linequeue.New(2, s.write, s.lost)
		put := func(lines string) {
			for _, l := range strings.Split(lines, "") {
				q.Put([]byte(l))
			}
			synctest.Wait()
		}
		put("abcd") // a and b have room
		s.gate <- struct{}{}
		synctest.Wait()
		put("e") // in a's place
		put("f")
		close(s.gate)
		synctest.Wait()
		want := []string{"a", "b", "2 lost", "e", "1 lost"} // the last without a line after it
		if !slices.Equal(s.got, want) {
			t.Errorf("got %q, want %q", s.got, want)
		}
		if err := q.Close(time.Second); err != nil {
			t.Error(err)
		}
	})
}

func TestCloseGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{gate: make(chan struct{})}
		q := linequeue.New(100, s.write, s.lost)
		q.Put([]byte("a"))
		begin := time.Now()
		if err := q.Close(2 * time.Second); !errors.Is(err, linequeue.ErrStalled) || time.Since(begin) != 2*time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		q.Put([]byte("b")) // harmless
		close(s.gate)
		synctest.Wait()
		if !slices.Equal(s.got, []string{"a", "1 lost"}) {
			t.Errorf("got %q", s.got)
		}
	})
}
