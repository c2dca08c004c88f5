package ipc

import (
	"strings"
	"time"
)

// MaxNameLen bounds a profile's name, in bytes.
const MaxNameLen = 64

// CheckName returns an error with CodeBadProfileName unless name can name a
// profile: 1 to MaxNameLen letters, digits, dots, dashes and underscores of
// ASCII, a letter or digit first. Such a name is safe in a path, a URL, a
// header and a shell.
func CheckName(name string) *Error {
	fail := func(message string) *Error {
		return &Error{Code: CodeBadProfileName, Message: message,
			Hint: "use 1 to 64 letters, digits, dots, dashes and underscores, a letter or digit first"}
	}
	switch {
	case name == "":
		return fail("the profile's name is empty")
	case len(name) > MaxNameLen:
		return fail("the profile's name is too long")
	}
	for i := range len(name) {
		c := name[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && (i == 0 || !strings.ContainsRune("._-", rune(c))) {
			return fail("the profile's name has a character that names can't have")
		}
	}
	return nil
}

// ParseDuration reads a duration in Go's form, in which days may lead: 14d,
// 1d12h, 5m, 90s. Negative ones are refused.
func ParseDuration(s string) (time.Duration, *Error) {
	fail := &Error{Code: CodeBadRequest, Message: "not a duration: " + printable(s), Hint: "write it like 90s, 5m, 12h or 14d"}
	rest := s
	var d time.Duration
	if days, after, ok := strings.Cut(s, "d"); ok {
		n := 0
		if days == "" || len(days) > 5 {
			return 0, fail
		}
		for _, c := range days {
			if c < '0' || c > '9' {
				return 0, fail
			}
			n = n*10 + int(c-'0')
		}
		d, rest = time.Duration(n)*24*time.Hour, after
		if rest == "" {
			return d, nil
		}
	}
	more, err := time.ParseDuration(rest)
	if err != nil || more < 0 || d+more < d {
		return 0, fail
	}
	return d + more, nil
}

// printable quotes what a person typed, cut short, without control characters.
func printable(s string) string {
	const most = 40
	cut := oneLine(s)
	if r := []rune(cut); len(r) > most {
		cut = string(r[:most]) + "..."
	}
	return `"` + cut + `"`
}

// oneLine replaces control characters and what is not UTF-8, so that a text
// can be shown in a terminal.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || 0x7f <= r && r < 0xa0 || r == '\uFFFD' {
			return '?'
		}
		return r
	}, s)
}

// words is the text of a system's error, without the full stop of Windows.
func words(err error) string { return strings.TrimSuffix(oneLine(err.Error()), ".") }
