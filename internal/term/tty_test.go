//go:build unix

package term

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/term"
)

// screen is the person's side of a terminal.
type screen struct {
	t      *testing.T
	pty    *os.File
	mu     sync.Mutex
	shown  bytes.Buffer
	update chan struct{}
}

func newScreen(t *testing.T) (*screen, *TTY) {
	t.Helper()
	p, f, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	s := &screen{t: t, pty: p, update: make(chan struct{}, 1)}
	t.Cleanup(func() { _ = f.Close(); _ = p.Close() })
	go func() {
		buf := make([]byte, 1024)
		for {
			n, err := p.Read(buf)
			s.mu.Lock()
			s.shown.Write(buf[:n])
			s.mu.Unlock()
			select {
			case s.update <- struct{}{}:
			default:
			}
			if err != nil {
				return
			}
		}
	}()
	return s, &TTY{in: f, out: f}
}

func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shown.String()
}

// waitFor waits until the terminal shows text.
func (s *screen) waitFor(text string) {
	s.t.Helper()
	for deadline := time.After(10 * time.Second); !strings.Contains(s.text(), text); {
		select {
		case <-s.update:
		case <-deadline:
			s.t.Fatalf("the terminal never showed %q: %q", text, s.text())
		}
	}
}

func (s *screen) press(keys string) {
	s.t.Helper()
	if _, err := s.pty.WriteString(keys); err != nil {
		s.t.Fatal(err)
	}
}

func TestSecretIsNotShownAndTheEchoComesBack(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 400) // more than a canonical line holds
	for name, c := range map[string]struct {
		keys, want string
		err        error
	}{
		"entered":   {"hidden\r", "hidden", nil},
		"pasted":    {long + "\r", long, nil},
		"Ctrl-C":    {"hidden\x03", "", ErrInterrupted},
		"Ctrl-D":    {"\x04", "", ErrClosed},
		"corrected": {"hiddex\x7fn\r", "hidden", nil},
		"too long":  {long + long + "\r", "", ErrTooLong},
	} {
		t.Run(name, func(t *testing.T) {
			s, tty := newScreen(t)
			before, err := term.GetState(int(tty.in.Fd()))
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				s.waitFor("token: ")
				for keys := c.keys; keys != ""; { // a terminal takes in little at once
					n := min(len(keys), 512)
					s.press(keys[:n])
					keys = keys[n:]
				}
			}()
			got, err := tty.Secret("token: ", 8000)
			if got.Reveal() != c.want || !errors.Is(err, c.err) {
				t.Errorf("got %d bytes, %v", got.Len(), err)
			}
			after, err := term.GetState(int(tty.in.Fd()))
			if err != nil || *after != *before {
				t.Errorf("the terminal was left in another mode: %v", err)
			}
			s.waitFor("\r\n")
			if text := s.text(); text != "token: \r\n" {
				t.Errorf("the terminal shows %q", text)
			}
		})
	}
}

func TestConfirm(t *testing.T) {
	for keys, want := range map[string]bool{"y\r": true, "Yes\r": true, "\r": false, "n\r": false, "yep\r": false, "yes, " + strings.Repeat("please ", 9) + "\r": false} {
		s, tty := newScreen(t)
		go func() {
			s.waitFor("[y/N] ")
			s.press(keys)
		}()
		got, err := tty.Confirm("replace?")
		if got != want || err != nil {
			t.Errorf("%q: %v, %v", keys, got, err)
		}
		if keys == "y\r" {
			s.waitFor("replace? [y/N] y\r\n")
		}
	}
}

func TestQuestionOnATerminalThatGoesAway(t *testing.T) {
	p, f, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	go func() {
		_, _ = p.Read(make([]byte, 64)) // the prompt: the question is asked
		_ = p.Close()
	}()
	if got, err := (&TTY{in: f, out: f}).Secret("token: ", 100); !errors.Is(err, ErrClosed) || !got.IsZero() {
		t.Errorf("got %d bytes, %v", got.Len(), err)
	}
}

func TestIsTerminal(t *testing.T) {
	_, tty := newScreen(t)
	null, err := os.Open(os.DevNull) // a device, yet no terminal
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = null.Close() }()
	if !IsTerminal(tty.in) || IsTerminal(null) {
		t.Error("a terminal is not told from another device")
	}
}
