package launch

import (
	"context"
	"fmt"
	"strings"

	"github.com/cspctl/cspctl/internal/term"
)

// Reason is why a program did not do what it was run for.
type Reason int

// The reasons.
const (
	NotStarted    Reason = iota + 1 // it could not be started
	NotFound                        // there is no such file, or its interpreter is missing
	NotExecutable                   // the file can't be executed
	Exited                          // with another status than 0
	Killed                          // by a signal that was not ours
	TimedOut                        // it was ended at its time limit
	Stopped                         // it was ended since the context was
)

// Error is the failure of a program. Its text is one line, and says what to do
// where that is not plain.
type Error struct {
	Reason  Reason
	Program string // its path
	Status  int    // of Exited
	Signal  string // of Killed
	Stderr  string // the beginning of what it wrote there, at most 4 KiB, cleaned line by line
	Err     error  // the cause, if there is one
}

// maxLine bounds the line of Stderr in the text, in characters.
const maxLine = 200

func (e *Error) Error() string {
	text := clean(e.Program)
	switch e.Reason {
	case NotFound:
		text += " was not found"
	case NotExecutable:
		text += " can't be executed: check its mode and its first line"
	case Exited:
		text += fmt.Sprintf(" failed with exit status %d", e.Status)
	case Killed:
		text += " was killed by " + e.Signal
	case TimedOut:
		text += " took too long, and was ended"
	case Stopped:
		text += " was ended"
	default:
		text += " could not be started"
	}
	if e.Err != nil {
		text += ": " + clean(e.Err.Error())
	}
	if line, _, _ := strings.Cut(e.Stderr, "\n"); line != "" {
		if r := []rune(line); len(r) > maxLine {
			line = string(r[:maxLine-1]) + "…"
		}
		text += ": " + line
	}
	return text
}

func (e *Error) Unwrap() error { return e.Err }

// stopped is the error of a program that was ended because ctx was: at its own
// time limit, if that is what ended ctx.
func stopped(program string, outer context.Context, stderr string) *Error {
	if err := outer.Err(); err != nil {
		return &Error{Reason: Stopped, Program: program, Err: err, Stderr: stderr}
	}
	return &Error{Reason: TimedOut, Program: program, Stderr: stderr}
}

// clean makes text of any program fit for a log: each line of it as for a
// terminal, without those that are empty.
func clean(s string) string {
	blanks := strings.NewReplacer("\t", " ", "\r", " ")
	var lines []string
	for line := range strings.Lines(s) {
		if line = term.Clean(strings.TrimSpace(blanks.Replace(line))); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}
