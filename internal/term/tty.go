package term

import (
	"errors"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/cspctl/cspctl/internal/secret"
)

// The ways in which a person, or a terminal, ends a question.
var (
	ErrInterrupted = errors.New("interrupted")         // Ctrl-C
	ErrClosed      = errors.New("nothing was entered") // Ctrl-D, or the terminal went away
	ErrTooLong     = errors.New("the text is too long")
)

// TTY is the terminal of the person in front of it.
type TTY struct {
	in, out *os.File
}

// Open returns the terminal that the process is attached to, or an error if
// there is none (cron, a service, a build machine). Close it after use.
func Open() (*TTY, error) { return open() }

// Close closes the terminal.
func (t *TTY) Close() error {
	if t.out != t.in {
		_ = t.out.Close()
	}
	return t.in.Close()
}

// Secret asks for a secret of at most limit bytes and reads it without echo.
// The echo is back in every case: Ctrl-C is read as a key (ErrInterrupted),
// so that no signal ends the process in between.
func (t *TTY) Secret(prompt string, limit int) (secret.Text, error) {
	line, err := t.ask(prompt, limit, false)
	return secret.New(string(line)), err
}

// Confirm asks a question that y or yes answers with yes, all else with no.
func (t *TTY) Confirm(question string) (bool, error) {
	line, err := t.ask(question+" [y/N] ", 16, true)
	if errors.Is(err, ErrTooLong) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	answer := strings.ToLower(strings.TrimSpace(string(line)))
	return answer == "y" || answer == "yes", nil
}

// ask reads a line in raw mode. Canonical mode would cut a line at 4095
// bytes, and some refresh tokens are longer.
func (t *TTY) ask(prompt string, limit int, echo bool) ([]byte, error) {
	fd := int(t.in.Fd())
	before, err := term.MakeRaw(fd)
	if err != nil {
		return nil, err
	}
	defer func() {
		_ = term.Restore(fd, before)
		_, _ = t.out.WriteString("\n")
	}()
	if _, err := t.out.WriteString(Clean(prompt)); err != nil {
		return nil, err
	}
	l := line{limit: limit}
	if echo {
		l.echo = func(s string) { _, _ = t.out.WriteString(s) }
	}
	buf := make([]byte, 256)
	for {
		n, err := t.in.Read(buf)
		for _, b := range buf[:n] {
			if done, err := l.key(b); done {
				return l.text, err
			}
		}
		clear(buf)
		if err != nil || n == 0 {
			return nil, ErrClosed
		}
	}
}

// line is a line being typed.
type line struct {
	text  []byte
	limit int
	over  bool
	echo  func(string) // nil: nothing is shown
}

// key takes one byte of input and reports whether the line is complete.
func (l *line) key(b byte) (done bool, err error) {
	switch b {
	case '\r', '\n':
		if l.over {
			l.text = nil
			return true, ErrTooLong
		}
		return true, nil
	case 0x03: // Ctrl-C
		l.text = nil
		return true, ErrInterrupted
	case 0x04: // Ctrl-D
		if len(l.text) == 0 {
			return true, ErrClosed
		}
	case 0x7f, 0x08: // backspace
		if n := len(l.text); n > 0 {
			n--
			for n > 0 && l.text[n]&0xc0 == 0x80 { // the rest of a character
				n--
			}
			l.text = l.text[:n]
			l.show("\b \b")
		}
	case 0x15: // Ctrl-U
		l.show(strings.Repeat("\b \b", Width(string(l.text))))
		l.text, l.over = l.text[:0], false
	default:
		switch {
		case b < ' ' && b != '\t': // other keys of control mean nothing here
		case len(l.text) >= l.limit:
			l.over = true
		default:
			l.text = append(l.text, b)
			l.show(string([]byte{b}))
		}
	}
	return false, nil
}

func (l *line) show(s string) {
	if l.echo != nil {
		l.echo(s)
	}
}
