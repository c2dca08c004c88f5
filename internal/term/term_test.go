package term_test

import (
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/cspctl/cspctl/internal/term"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"":                      "",
		"plain text, 100%":      "plain text, 100%",
		"é and 日本":              "é and 日本",
		"a\x1b[31mb":            "a?[31mb",
		"a\nb\r\tc\x00\x7f":     "a?b??c??",
		"a\u009b2Jb":            "a?2Jb", // the C1 form of ESC [
		"pay\u202egnp.exe":      "paygnp.exe",
		"zero\u200bwidth\ufeff": "zerowidth",
		"two\u2028lines":        "twolines",
		"bad\xffutf8":           "bad\uFFFDutf8",
	} {
		if got := term.Clean(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"", "a\x1bb", "\u202e", "é", "\xff\xfe", "a\u0301"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := term.Clean(s)
		for _, r := range got {
			if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
				t.Errorf("%q: %q is left in %q", s, r, got)
			}
		}
		if term.Clean(got) != got {
			t.Errorf("%q: cleaning twice changes it", s)
		}
	})
}

func TestWidth(t *testing.T) {
	for in, want := range map[string]int{"": 0, "abc": 3, "é": 1, "e\u0301": 1, "日本": 4, "ｱ": 1, "Ａ": 2, "한글": 4, "🔑": 2, "█░…": 3, "a日\u20dd": 3} {
		if got := term.Width(in); got != want {
			t.Errorf("%q: got %d, want %d", in, got, want)
		}
	}
}

func TestTable(t *testing.T) {
	s := term.Colours(true)
	var tab term.Table
	tab.Row("NAME", "STATE", "ERROR")
	tab.Cells(term.Cell{Text: "é"}, term.Cell{Text: "ok", Look: s.Green})
	tab.Row("longer", "", "bad\x1b[2Jnews\n")
	want := "NAME    STATE  ERROR\n" +
		"é       \x1b[32mok\x1b[0m\n" +
		"longer         bad?[2Jnews?\n"
	if got := tab.String(); got != want {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
	if (&term.Table{}).String() != "" {
		t.Error("an empty table has lines")
	}
}

func TestColoursStayOutOfPipes(t *testing.T) {
	if got := term.Colours(false).Red("x") + (term.Style{}).Bold("y"); got != "xy" {
		t.Errorf("got %q", got)
	}
	if got := term.Colours(true).Red(""); got != "" {
		t.Errorf("an empty text became %q", got)
	}
}

func TestStyleFor(t *testing.T) {
	for _, c := range []struct {
		terminal bool
		env      map[string]string
		want     bool
	}{
		{true, nil, true}, {false, nil, false}, {true, map[string]string{"NO_COLOR": "1"}, false},
		{true, map[string]string{"NO_COLOR": ""}, true}, {true, map[string]string{"TERM": "dumb"}, false},
	} {
		if got := term.StyleFor(c.terminal, func(k string) string { return c.env[k] }) == term.Colours(true); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestSpanAndRelative(t *testing.T) {
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	for d, want := range map[time.Duration][2]string{
		0:                                        {"0s", "now"},
		500 * time.Millisecond:                   {"0s", "now"},
		45 * time.Second:                         {"45s", "in 45s"},
		60 * time.Second:                         {"1m", "in 1m"},
		30*time.Minute - 1:                       {"29m", "in 29m"},
		47 * time.Hour:                           {"47h", "in 47h"},
		48*time.Hour - time.Second:               {"2d", "in 2d"},
		48*time.Hour - time.Minute - time.Second: {"47h", "in 47h"},
		180*24*time.Hour - time.Second:           {"180d", "in 180d"},
		33*24*time.Hour + time.Hour:              {"33d", "in 33d"},
		-73 * time.Hour:                          {"0s", "3d ago"},
		-999 * time.Millisecond:                  {"0s", "now"},
	} {
		if got := term.Span(d); got != want[0] {
			t.Errorf("Span(%v) is %q, want %q", d, got, want[0])
		}
		if got := term.Relative(now.Add(d), now); got != want[1] {
			t.Errorf("Relative(%v) is %q, want %q", d, got, want[1])
		}
	}
}

func TestBar(t *testing.T) {
	for _, c := range []struct {
		left, whole    time.Duration
		ascii, unicode string
	}{
		{30, 30, "[##########]", "████████████"}, {40, 30, "[##########]", "████████████"},
		{0, 30, "[----------]", "░░░░░░░░░░░░"}, {-1, 30, "[----------]", "░░░░░░░░░░░░"},
		{15, 30, "[#####-----]", "██████░░░░░░"}, {29999, 30000, "[#########-]", "███████████░"},
		{1, 30000, "[#---------]", "█░░░░░░░░░░░"}, {5, 0, "[----------]", "░░░░░░░░░░░░"},
	} {
		if got := term.Unicode(false).Bar(c.left, c.whole, 12); got != c.ascii {
			t.Errorf("%d of %d: %s, want %s", c.left, c.whole, got, c.ascii)
		}
		if got := term.Unicode(true).Bar(c.left, c.whole, 12); got != c.unicode {
			t.Errorf("%d of %d: %s, want %s", c.left, c.whole, got, c.unicode)
		}
	}
	if got := term.Unicode(false).Bar(1, 2, 0); !strings.HasPrefix(got, "[") || len(got) != 3 {
		t.Errorf("no width: %q", got)
	}
	if got := term.Unicode(true).Bar(1, 2, 0); term.Width(got) != 1 {
		t.Errorf("no width: %q", got)
	}
}

func TestMarksFollowTheLocale(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("consoles take UTF-16 there")
	}
	for _, c := range []struct {
		env  map[string]string
		want bool
	}{
		{nil, false},
		{map[string]string{"LANG": "C"}, false},
		{map[string]string{"LANG": "C.UTF-8"}, true},
		{map[string]string{"LANG": "de_DE.utf8"}, true},
		{map[string]string{"LANG": "de_DE.ISO-8859-1"}, false},
		{map[string]string{"LANG": "C.UTF-8", "LC_CTYPE": "C"}, false},
		{map[string]string{"LANG": "C", "LC_CTYPE": "en_US.UTF-8"}, true},
		{map[string]string{"LANG": "C.UTF-8", "LC_CTYPE": "C.UTF-8", "LC_ALL": "POSIX"}, false},
		{map[string]string{"LANG": "C", "LC_ALL": "C.UTF-8"}, true},
	} {
		if got := term.MarksFor(func(k string) string { return c.env[k] }) == term.Unicode(true); got != c.want {
			t.Errorf("%v: %v", c.env, got)
		}
	}
}

func TestCut(t *testing.T) {
	for _, c := range []struct {
		s    string
		most int
		want string
	}{
		{"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"ab cd", 4, "ab…"}, {"日本語", 6, "日本語"}, {"日本語", 5, "日本…"},
		{"日本語", 4, "日…"}, {"e\u0301e\u0301e\u0301", 2, "e\u0301…"}, {"abc", 1, "…"}, {"abc", 0, ""}, {"", 0, ""}, {"日", 1, "…"},
	} {
		if got := term.Cut(c.s, c.most, "…"); got != c.want {
			t.Errorf("%q in %d: %q, want %q", c.s, c.most, got, c.want)
		}
	}
	if got := term.Cut("abcdef", 5, "..."); got != "ab..." {
		t.Errorf("got %q", got)
	}
	if got := term.Cut("abcdef", 2, "..."); got != "ab" {
		t.Errorf("got %q", got)
	}
}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		s    string
		most int
		want []string
	}{
		{"one two three", 0, []string{"one two three"}},
		{"one two three", 13, []string{"one two three"}},
		{"one two three", 12, []string{"one two", "three"}},
		{"one two three", 3, []string{"one", "two", "thr", "ee"}},
		{"a https://example.com/b c", 8, []string{"a", "https://", "example.", "com/b c"}},
		{"日本語 日本", 4, []string{"日本", "語", "日本"}},
		{"日本", 1, []string{"日", "本"}},
		{"", 5, []string{""}},
	} {
		if got := term.Wrap(c.s, c.most); !slices.Equal(got, c.want) {
			t.Errorf("%q in %d: %q, want %q", c.s, c.most, got, c.want)
		}
	}
}

func FuzzWrapAndCut(f *testing.F) {
	f.Add("one two three", 5)
	f.Add("日本語 e\u0301", 3)
	f.Fuzz(func(t *testing.T, s string, most int) {
		s, most = term.Clean(s), 2+abs(most)%200
		for _, l := range term.Wrap(s, most) {
			if term.Width(l) > most {
				t.Errorf("%q has a line of %d in %d: %q", s, term.Width(l), most, l)
			}
		}
		squeeze := func(s string) string { return strings.Join(strings.Fields(s), "") }
		if got := strings.Join(term.Wrap(s, most), ""); squeeze(got) != squeeze(s) {
			t.Errorf("%q lost a character: %q", s, got)
		}
		if got := term.Cut(s, most, "…"); term.Width(got) > most {
			t.Errorf("%q in %d is cut to %q", s, most, got)
		}
	})
}

func abs(n int) int { return max(n, -n, 0) }

func TestTableWidth(t *testing.T) {
	s := term.Colours(true)
	var tab term.Table
	if tab.Width() != 0 {
		t.Error("an empty table is wide")
	}
	tab.Row("a", "日本語", "x")
	tab.Cells(term.Cell{Text: "abc", Look: s.Red}, term.Cell{Text: "b"}, term.Cell{})
	if got := tab.Width(); got != 3+2+6+2+1 {
		t.Errorf("got %d of\n%s", got, tab.String())
	}
	tab.Row("", "0123456789")
	if got := tab.Width(); got != 3+2+10+2+1 {
		t.Errorf("got %d of\n%s", got, tab.String())
	}
}
