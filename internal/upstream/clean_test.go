package upstream

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/cspctl/cspctl/internal/secret"
	"github.com/cspctl/cspctl/internal/upstream/upstreamtest"
)

func TestP1CleanRemovesRemains(t *testing.T) {
	tail := upstreamtest.Secret[len(upstreamtest.Secret)-5:]
	for _, c := range []struct{ name, in, want string }{
		{"the captured refusal", "invalid_grant: Invalid refresh token: xxxx..." + tail, "invalid_grant: Invalid refresh token"},
		{"a masked tail elsewhere", "the token ***" + tail + " is dead", "the token is dead"},
		{"another token's tail", "Invalid refresh token: xxxx...zzzzz", "Invalid refresh token"},
		{"in upper case", "no " + strings.ToUpper(tail) + " here", "no here"},
		{"the whole", upstreamtest.Secret, ""},
		{"the head", "head " + upstreamtest.Secret[:4] + "....", "head"},
		{"three characters are an accident", "abc " + upstreamtest.Secret[:3], "abc " + upstreamtest.Secret[:3]},
		{"zero width characters between", "x " + tail[:2] + "\u200b" + tail[2:] + " y", "x y"},
		{"an access token", "got " + upstreamtest.JWT() + " instead", "got instead"},
		{"something as long as a token", "got " + strings.Repeat("ab1", 20) + " instead", "got instead"},
		{"a trace id stays", "trace 0105e0f320064337 " + strings.Repeat("0a", 8), "trace 0105e0f320064337 " + strings.Repeat("0a", 8)},
		{"a line break and a terminal sequence", "one\r\ntwo\x1b[31m\x07three", "one two [31m three"},
		{"bidi override", "abc\u202edef\u2066", "abcdef"},
		{"line separator", "a\u2028b", "a b"},
		{"broken UTF-8", "a\xff\xfeb", "ab"},
		{"trailing punctuation", "no: ", "no"},
		{"other scripts stay", "Ungültiges Token 無効", "Ungültiges Token 無効"},
	} {
		if got := NewCleaner(RemainSize, secret.New(upstreamtest.Secret)).Text(c.in, MaxText); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	if got := (Cleaner{}).Text(strings.Repeat("é ", 500), MaxText); utf8.RuneCountInString(got) > MaxText {
		t.Errorf("%d runes", utf8.RuneCountInString(got))
	}
}

// Deleting one word can bring two halves together.
func TestCleanLooksAgain(t *testing.T) {
	c := NewCleaner(4, secret.New("abcd"), secret.New("pp qq"))
	if got := c.Text("pp abcd qq", MaxText); got != "" {
		t.Errorf("got %q", got)
	}
}

func TestCleanKnowsEverySecret(t *testing.T) {
	c := NewCleaner(RemainSize, secret.New(upstreamtest.Secret), secret.New("493817"), secret.New("ab"))
	if got := c.Text("code 9381 of ab not 493 817", MaxText); got != "code of not 493 817" {
		t.Errorf("got %q", got)
	}
}

func TestIdentifier(t *testing.T) {
	c := NewCleaner(RemainSize, secret.New(upstreamtest.Secret))
	for in, want := range map[string]string{
		"540.120-340.800": "540.120-340.800", "host.example.com:8443": "host.example.com:8443",
		"a b": "", "a\nb": "", "ü": "", "<x>": "", "id-" + upstreamtest.Secret[:6]: "", strings.Repeat("a", 200): "",
	} {
		if got := c.Identifier(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add(upstreamtest.Secret, "invalid_grant: Invalid refresh token: xxxx..."+upstreamtest.Secret[len(upstreamtest.Secret)-5:])
	f.Add(upstreamtest.Secret, "<p>"+upstreamtest.Secret+"</p>")
	f.Add("a b c d", "x a b  c d\ty")
	f.Add("....", "wait ... .... more")
	f.Add("\x00\xff", "\xff\x00\xff")
	f.Add(" ", "  a  ")
	f.Add("123456", "code 1234-56")
	f.Fuzz(func(t *testing.T, hidden, text string) {
		c := NewCleaner(RemainSize, secret.New(hidden))
		for _, out := range []string{c.Text(text, MaxText), c.Label(text, MaxText), c.Identifier(text)} {
			upstreamtest.NoRemains(t, "the text", out, hidden, RemainSize)
			upstreamtest.Presentable(t, out)
			if utf8.RuneCountInString(out) > MaxText {
				t.Errorf("%d runes", utf8.RuneCountInString(out))
			}
		}
	})
}
