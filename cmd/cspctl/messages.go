package main

// How cspctl speaks:
//
//   - stdout is the result and nothing else, and empty on failure;
//   - all other text goes to stderr, one line each: "cspctl: error: ...",
//     "cspctl: warning: ...", "cspctl: hint: ...";
//   - lower case, no full stop; a hint says what to do next;
//   - with -o json, each of them is one line of JSON: an error has "code",
//     "message" and "hint", a warning has "warning" and "hint";
//   - questions go to the terminal itself;
//   - no text repeats an argument that may be a secret by mistake.

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/term"
)

// failed makes an error of cspctl's own.
func failed(code ipc.Code, message, hint string) *ipc.Error {
	return &ipc.Error{Code: code, Message: message, Hint: hint}
}

// usage makes the error for a command line that can't be understood.
func usage(message, hint string) *ipc.Error { return failed(ipc.CodeBadRequest, message, hint) }

// reason returns the text of a system's error without the operation and path
// around it, which the caller knows better.
func reason(err error) string {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
	return strings.TrimSuffix(err.Error(), ".") // Windows speaks in sentences
}

// quote returns what a person typed, quoted, cleaned and cut: a secret typed
// in the wrong place must not come back whole.
func quote(s string) string {
	const most = 20
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "..."
	}
	return strconv.Quote(term.Clean(s))
}

func (a *app) fail(err error) {
	e, ok := errors.AsType[*ipc.Error](err)
	if !ok {
		e = failed(ipc.CodeInternal, err.Error(), "")
	}
	if a.json {
		a.sayJSON(e)
		return
	}
	a.say("error", e.Message)
	a.say("hint", e.Hint)
}

func (a *app) warn(message, hint string) {
	if a.json {
		a.sayJSON(struct {
			Warning string `json:"warning"`
			Hint    string `json:"hint,omitempty"`
		}{message, hint})
		return
	}
	a.say("warning", message)
	a.say("hint", hint)
}

// note says how something went, for a person.
func (a *app) note(message string) { a.say("", message) }

func (a *app) say(kind, message string) {
	if message == "" {
		return
	}
	if kind != "" {
		kind += ": "
	}
	_, _ = io.WriteString(a.stderr, "cspctl: "+kind+term.Clean(message)+"\n")
}

func (a *app) sayJSON(v any) {
	b, err := json.Marshal(v)
	if err != nil {
		return // of strings alone: can't happen
	}
	_, _ = io.WriteString(a.stderr, visible(string(b))+"\n")
}

// visible escapes what a terminal would act on and JSON lets pass: control
// characters beyond ASCII, and those that change how a line reads, such as the
// direction of the text.
func visible(document string) string {
	acts := func(r rune) bool { return r >= 0x7f && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) }
	if strings.IndexFunc(document, acts) < 0 {
		return document
	}
	var b strings.Builder
	for _, r := range document {
		switch {
		case !acts(r):
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// schema is the version of the JSON that cspctl prints. Fields may be added
// within a version; it rises when one changes its meaning or goes away.
const schema = 1

// printJSON writes v as the result, indented.
func (a *app) printJSON(v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return failed(ipc.CodeInternal, err.Error(), "")
	}
	return a.print(visible(string(b)) + "\n")
}
