// Package term is all that cspctl knows of terminals: questions with and
// without echo, colours, tables, bars, a screen that is drawn again and again,
// the words for a span of time.
//
// Questions are asked on the terminal itself (/dev/tty, CONIN$ and CONOUT$ on
// Windows), never on stdin and stdout, which belong to the caller's pipes.
// Everything that comes from elsewhere passes [Clean] before it reaches a
// terminal: a server's text could otherwise move the cursor or forge lines.
package term

import (
	"os"

	"golang.org/x/term"
)

// IsTerminal reports whether f is a terminal.
func IsTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// Columns returns how many columns f has, 0 if it is no terminal or does not
// say.
func Columns(f *os.File) int {
	w, _, err := term.GetSize(int(f.Fd()))
	if err != nil || w < 0 {
		return 0
	}
	return w
}
