package csp

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/cspctl/cspctl/internal/secret"
)

// fake looks like an API token and shares no four characters with any text of ours.
var fake = "Zq9" + strings.Repeat("Wx7-", 12) + "Kv2_Jj5Pp8Qz"

func fakeJWT() string {
	return "eyJ" + strings.Repeat("hbGc", 5) + "." + strings.Repeat("e30x", 20) + "." + strings.Repeat("c2ln", 10)
}

func TestP1CleanRemovesRemains(t *testing.T) {
	tail := fake[len(fake)-5:]
	for _, c := range []struct{ name, in, want string }{
		{"the captured refusal", "invalid_grant: Invalid refresh token: xxxx..." + tail, "invalid_grant: Invalid refresh token"},
		{"a masked tail elsewhere", "the token ***" + tail + " is dead", "the token is dead"},
		{"another token's tail", "Invalid refresh token: xxxx...zzzzz", "Invalid refresh token"},
		{"in upper case", "no " + strings.ToUpper(tail) + " here", "no here"},
		{"the whole", fake, ""},
		{"the head", "head " + fake[:4] + "....", "head"},
		{"three characters are an accident", "abc " + fake[:3], "abc " + fake[:3]},
		{"zero width characters between", "x " + tail[:2] + "\u200b" + tail[2:] + " y", "x y"},
		{"an access token", "got " + fakeJWT() + " instead", "got instead"},
		{"something as long as a token", "got " + strings.Repeat("ab1", 20) + " instead", "got instead"},
		{"a trace id stays", "trace 0105e0f320064337 " + strings.Repeat("0a", 8), "trace 0105e0f320064337 " + strings.Repeat("0a", 8)},
		{"a line break and a terminal sequence", "one\r\ntwo\x1b[31m\x07three", "one two [31m three"},
		{"bidi override", "abc\u202edef\u2066", "abcdef"},
		{"line separator", "a\u2028b", "a b"},
		{"broken UTF-8", "a\xff\xfeb", "ab"},
		{"trailing punctuation", "no: ", "no"},
		{"other scripts stay", "Ungültiges Token 無効", "Ungültiges Token 無効"},
	} {
		if got := newCleaner(remainSize, secret.New(fake)).text(c.in, maxText); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	if got := (cleaner{}).text(strings.Repeat("é ", 500), maxText); utf8.RuneCountInString(got) > maxText {
		t.Errorf("%d runes", utf8.RuneCountInString(got))
	}
}

// Deleting one word can bring two halves together.
func TestCleanLooksAgain(t *testing.T) {
	c := newCleaner(4, secret.New("abcd"), secret.New("pp qq"))
	if got := c.text("pp abcd qq", maxText); got != "" {
		t.Errorf("got %q", got)
	}
}

func TestCleanKnowsEverySecret(t *testing.T) {
	c := newCleaner(remainSize, secret.New(fake), secret.New("493817"), secret.New("ab"))
	if got := c.text("code 9381 of ab not 493 817", maxText); got != "code of not 493 817" {
		t.Errorf("got %q", got)
	}
}

func TestIdentifier(t *testing.T) {
	c := newCleaner(remainSize, secret.New(fake))
	for in, want := range map[string]string{
		"540.120-340.800": "540.120-340.800", "host.example.com:8443": "host.example.com:8443",
		"a b": "", "a\nb": "", "ü": "", "<x>": "", "id-" + fake[:6]: "", strings.Repeat("a", 200): "",
	} {
		if got := c.identifier(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// noRemains fails if s shows four bytes in a row of the secret (P1).
func noRemains(t *testing.T, what, s, hidden string, size int) {
	t.Helper()
	low, hidden := lowerASCII(s), lowerASCII(hidden)
	n := min(size, len(hidden))
	if n == 0 {
		return
	}
	for i := range len(hidden) - n + 1 {
		if strings.Contains(low, hidden[i:i+n]) {
			t.Errorf("%s shows %q of the secret: %q", what, hidden[i:i+n], s)
			return
		}
	}
}

func presentable(t *testing.T, s string) {
	t.Helper()
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		t.Errorf("not one line of printable text: %q", s)
	}
}

func FuzzClean(f *testing.F) {
	f.Add(fake, "invalid_grant: Invalid refresh token: xxxx..."+fake[len(fake)-5:])
	f.Add(fake, "<p>"+fake+"</p>")
	f.Add("a b c d", "x a b  c d\ty")
	f.Add("....", "wait ... .... more")
	f.Add("\x00\xff", "\xff\x00\xff")
	f.Add(" ", "  a  ")
	f.Add("123456", "code 1234-56")
	f.Fuzz(func(t *testing.T, hidden, text string) {
		c := newCleaner(remainSize, secret.New(hidden))
		for _, out := range []string{c.text(text, maxText), c.label(text, maxText), c.identifier(text)} {
			noRemains(t, "the text", out, hidden, remainSize)
			presentable(t, out)
			if utf8.RuneCountInString(out) > maxText {
				t.Errorf("%d runes", utf8.RuneCountInString(out))
			}
		}
	})
}
