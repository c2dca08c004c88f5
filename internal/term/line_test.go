package term

import (
	"errors"
	"strings"
	"testing"
)

func TestLineEditing(t *testing.T) {
	for _, c := range []struct {
		keys, want string
		err        error
	}{
		{"abc\r", "abc", nil},
		{"abc\n", "abc", nil},
		{"\r", "", nil},
		{"ab\x7fc\r", "ac", nil},
		{"\x7f\x08x\r", "x", nil},
		{"aé\x7fb\r", "ab", nil},
		{"abc\x15d\r", "d", nil},
		{"a\x03", "", ErrInterrupted},
		{"\x04", "", ErrClosed},
		{"a\x04b\r", "ab", nil},
		{"a\x1bb\x00\r", "ab", nil},
		{"a\tb\r", "a\tb", nil},
		{strings.Repeat("x", 9) + "\r", "", ErrTooLong},
		{strings.Repeat("x", 8) + "\r", "xxxxxxxx", nil},
		{strings.Repeat("x", 20) + "\x15ok\r", "ok", nil},
	} {
		l := line{limit: 8}
		var err error
		ended := false
		for i := range len(c.keys) {
			if ended, err = l.key(c.keys[i]); ended {
				break
			}
		}
		if !ended || string(l.text) != c.want || !errors.Is(err, c.err) {
			t.Errorf("%q: got %q, %v, ended %v", c.keys, l.text, err, ended)
		}
	}
}
