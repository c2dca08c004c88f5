package upstream

import (
	"net/url"
	"regexp"
	"strings"
	"unicode"

	"github.com/cspctl/cspctl/internal/secret"
)

const (
	// RemainSize is the length in bytes of the shortest piece of a secret that
	// is taken for a remain of it. CSP masks the token that it refuses, and
	// shows its last five characters.
	RemainSize = 4
	// LabelRemainSize is RemainSize for names and ids, in which a short piece of
	// the secret is an accident rather than an echo.
	LabelRemainSize = 8

	MaxText  = 200 // bounds a server's sentence, in runes
	MaxLabel = 256 // bounds a name, in runes
)

// Cleaner makes a server's text fit to be shown: one line of printable
// characters without remains of the secrets that went into the request.
type Cleaner struct {
	pieces map[string]bool // lower case
	sizes  []int           // the lengths of pieces
}

// NewCleaner knows every piece of size bytes of the secrets, as they are and
// as forms and queries escape them; of a shorter secret, the whole.
func NewCleaner(size int, secrets ...secret.Text) Cleaner {
	c := Cleaner{pieces: map[string]bool{}}
	var texts []string
	for _, t := range secrets {
		texts = append(texts, t.Reveal())
		if escaped := url.QueryEscape(t.Reveal()); escaped != t.Reveal() {
			texts = append(texts, escaped)
		}
	}
	for _, t := range texts {
		s := lowerASCII(t)
		n := min(size, len(s))
		if n == 0 {
			continue
		}
		for i := range len(s) - n + 1 {
			c.pieces[s[i:i+n]] = true
		}
		c.sizes = append(c.sizes, n)
	}
	return c
}

var (
	// "Invalid refresh token: xxxx...abcde"
	echoed = regexp.MustCompile(`(?i)(invalid (?:refresh|api|access)[ _]token)\s*[:=]\s*\S+`)
	// The start of a JWT (RFC 7519), or anything as long as an API token.
	tokenLike = regexp.MustCompile(`\S*eyJ[A-Za-z0-9_-]{6,}\S*|\S*[A-Za-z0-9_~+/=-]{40,}\S*`)
)

// Text cleans a sentence of the server's and cuts it to most runes.
func (c Cleaner) Text(s string, most int) string {
	s = printable(s)
	s = echoed.ReplaceAllString(s, "$1")
	s = tokenLike.ReplaceAllString(s, "")
	return strings.TrimRight(cut(c.withoutRemains(oneLine(s)), most), " .:,;=-")
}

// Label cleans a name, id or scope list, which may hold long words of its own.
func (c Cleaner) Label(s string, most int) string {
	return cut(c.withoutRemains(oneLine(printable(s))), most)
}

func printable(s string) string {
	// No caller shows more than this; the rest is not worth looking at.
	s = s[:min(len(s), 8<<10)]
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r) || unicode.IsControl(r):
			return ' '
		case !unicode.IsPrint(r) || r == unicode.ReplacementChar:
			return -1 // format characters (bidi, zero width), private use, broken UTF-8
		}
		return r
	}, s)
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func cut(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most])
	}
	return s
}

// Identifier cleans s and returns it if it looks like a code or an id, else "".
func (c Cleaner) Identifier(s string) string {
	const most = 128
	ok := len(s) <= most && !strings.ContainsFunc(s, func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._:-", r)
	})
	if !ok {
		return ""
	}
	return c.withoutRemains(s)
}

// withoutRemains drops every word of s that overlaps a piece of a secret, and
// leaves no mark, since a mark could complete another piece.
func (c Cleaner) withoutRemains(s string) string {
	// A server that knows the secret could make each pass uncover one more word.
	const maxPasses = 20
	for range maxPasses {
		bad := c.find(s)
		if bad == nil {
			return s
		}
		var keep []string
		at := 0
		for word := range strings.SplitSeq(s, " ") {
			if !anyTrue(bad[at : at+len(word)]) {
				keep = append(keep, word)
			}
			at += len(word) + 1
		}
		short := strings.Join(keep, " ")
		if len(short) == len(s) {
			return "" // only blanks were hit
		}
		s = short
	}
	return ""
}

// find marks the bytes of s that belong to a piece; nil if none does.
func (c Cleaner) find(s string) []bool {
	var bad []bool
	low := lowerASCII(s)
	for _, n := range c.sizes {
		for i := 0; i+n <= len(low); i++ {
			if !c.pieces[low[i:i+n]] {
				continue
			}
			if bad == nil {
				bad = make([]bool, len(s))
			}
			for j := i; j < i+n; j++ {
				bad[j] = true
			}
		}
	}
	return bad
}

func anyTrue(b []bool) bool {
	for _, v := range b {
		if v {
			return true
		}
	}
	return false
}

// lowerASCII keeps the length, as strings.ToLower does not.
func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
