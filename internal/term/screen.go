package term

import (
	"os"
	"os/signal"
	"strings"

	"golang.org/x/term"
)

// The sequences of a [Screen]: those of xterm, which what goes by that name or
// another knows (https://invisible-island.net/xterm/ctlseqs/ctlseqs.html).
const (
	screenEnter = "\x1b[?1049h\x1b[?25l\x1b[?7l" // the alternate screen, no cursor, no wrapping
	screenLeave = "\x1b[?7h\x1b[?25h\x1b[?1049l"
)

// Screen is a terminal whose whole screen is drawn again and again. Keys are
// read one by one, without echo. What was on the screen before comes back at
// the end.
type Screen struct {
	out     *os.File
	keys    *TTY // nil: there is no controlling terminal
	before  *term.State
	mode    outputMode
	shown   bool
	events  chan Event
	signals chan os.Signal
	done    chan struct{}
}

// Event is what happens to a [Screen]: a key, or one of the constants.
type Event int

// The events that are no key.
const (
	Resized Event = -1 - iota // or something else that asks for another frame
	Resumed                   // after a stop: call [Screen.Resume]
	Ended                     // asked for by a signal, or the terminal went away
)

// OpenScreen takes over the terminal that out is. Close it after use.
func OpenScreen(out *os.File) (*Screen, error) {
	s := &Screen{out: out, events: make(chan Event, 16), signals: make(chan os.Signal, 16), done: make(chan struct{})}
	s.keys, _ = Open()
	// Before the mode is changed: nothing may end the process in between.
	signal.Notify(s.signals, screenSignals...)
	if err := s.Resume(); err != nil {
		s.Close()
		return nil, err
	}
	go s.watchSignals()
	if s.keys != nil {
		go s.readKeys()
	}
	return s, nil
}

// Events returns where keys and all else arrive.
func (s *Screen) Events() <-chan Event { return s.events }

// Size returns its columns and lines, as of now.
func (s *Screen) Size() (columns, lines int) {
	w, h, err := term.GetSize(int(s.out.Fd()))
	if err != nil || w <= 0 || h <= 0 {
		return 80, 24 // it does not say
	}
	return w, h
}

// Draw shows a frame. Its lines must be shorter than the terminal is wide: what
// follows a line would erase a character in the last column. It is one write
// and erases no more than it has to, or it would flicker.
func (s *Screen) Draw(lines []string) error {
	var b strings.Builder
	b.WriteString("\x1b[H")
	for i, l := range lines {
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString(l + "\x1b[K")
	}
	b.WriteString("\x1b[J")
	_, err := s.out.WriteString(b.String())
	return err
}

// Resume takes the terminal over again, after [Screen.Suspend] or a stop.
func (s *Screen) Resume() error {
	if s.keys != nil {
		before, err := term.MakeRaw(int(s.keys.in.Fd()))
		if err != nil {
			return err
		}
		if s.before == nil { // else a shell may have left it raw
			s.before = before
		}
	}
	s.mode.set(s.out)
	if s.shown { // entered twice, xterm forgets where the cursor was
		return nil
	}
	s.shown = true
	_, err := s.out.WriteString(screenEnter)
	return err
}

// leave gives the terminal back as it was.
func (s *Screen) leave() {
	if s.shown {
		_, _ = s.out.WriteString(screenLeave)
		s.shown = false
	}
	s.mode.restore(s.out)
	if s.before != nil {
		_ = term.Restore(int(s.keys.in.Fd()), s.before)
	}
}

// Close gives the terminal back.
func (s *Screen) Close() {
	s.leave()
	signal.Stop(s.signals)
	close(s.done)
	// The terminal stays open: a read of it can't be called off everywhere.
}

func (s *Screen) send(e Event) {
	select {
	case s.events <- e:
	case <-s.done:
	}
}

func (s *Screen) watchSignals() {
	for {
		select {
		case sig := <-s.signals:
			s.send(eventOf(sig))
		case <-s.done:
			return
		}
	}
}

func (s *Screen) readKeys() {
	buf := make([]byte, 64)
	for {
		n, err := s.keys.in.Read(buf)
		for _, b := range buf[:n] {
			s.send(Event(b))
		}
		if err != nil || n == 0 {
			s.send(Ended)
			return
		}
	}
}
