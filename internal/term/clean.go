package term

import (
	"strings"
	"unicode"
)

// Clean returns s fit for one line of a terminal: control characters (of C0,
// C1 and DEL, so escape sequences and line breaks too) become question marks,
// invalid UTF-8 U+FFFD, and the invisible characters that reorder or join text
// are dropped.
func Clean(s string) string {
	plain := true
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029':
			return -1
		case unicode.IsControl(r):
			return '?'
		}
		return r
	}, s)
}
