//go:build unix

package term

import (
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/term"
)

// screenOn takes over a terminal as OpenScreen does, which would take the
// controlling one for the keys.
func screenOn(tty *TTY) *Screen {
	return &Screen{out: tty.out, keys: tty, events: make(chan Event, 16), signals: make(chan os.Signal, 16), done: make(chan struct{})}
}

func (s *Screen) next(t *testing.T) Event {
	t.Helper()
	select {
	case e := <-s.Events():
		return e
	case <-time.After(10 * time.Second):
		t.Fatal("nothing happened")
	}
	return 0
}

func TestScreen(t *testing.T) {
	person, tty := newScreen(t)
	before, err := term.GetState(int(tty.in.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	s := screenOn(tty)
	for range 2 { // as after a stop: it is entered once
		if err := s.Resume(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Draw([]string{"one", "two"}); err != nil {
		t.Fatal(err)
	}
	go s.readKeys()
	person.waitFor("two")
	person.press("q\x03\x1a")
	for _, want := range []Event{'q', 0x03, 0x1a} {
		if got := s.next(t); got != want {
			t.Errorf("key %d, want %d", got, want)
		}
	}
	s.Close()
	person.waitFor(screenLeave)
	want := screenEnter + "\x1b[Hone\x1b[K\r\ntwo\x1b[K\x1b[J" + screenLeave
	if got := person.text(); got != want {
		t.Errorf("the terminal got %q, want %q", got, want)
	}
	if after, err := term.GetState(int(tty.in.Fd())); err != nil || *after != *before {
		t.Errorf("the terminal was left in another mode: %v", err)
	}
}

func TestScreenSignals(t *testing.T) {
	_, tty := newScreen(t)
	s := screenOn(tty)
	defer s.Close()
	go s.watchSignals()
	for sig, want := range map[os.Signal]Event{syscall.SIGWINCH: Resized, syscall.SIGCONT: Resumed, syscall.SIGTERM: Ended, syscall.SIGHUP: Ended, syscall.SIGINT: Ended} {
		s.signals <- sig
		if got := s.next(t); got != want {
			t.Errorf("%v: event %d, want %d", sig, got, want)
		}
	}
}

func TestScreenThatGoesAway(t *testing.T) {
	p, f, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	s := screenOn(&TTY{in: f, out: f})
	if err := s.Resume(); err != nil {
		t.Fatal(err)
	}
	go s.readKeys()
	_ = p.Close()
	if got := s.next(t); got != Ended {
		t.Errorf("event %d", got)
	}
	if w, h := s.Size(); w <= 0 || h <= 0 {
		t.Errorf("%d columns, %d lines", w, h)
	}
	s.Close()
}
