package term_test

import (
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
	for in, want := range map[string]int{"": 0, "abc": 3, "é": 1, "e\u0301": 1, "日本": 2} {
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
		0:                           {"0s", "now"},
		500 * time.Millisecond:      {"0s", "now"},
		45 * time.Second:            {"45s", "in 45s"},
		60 * time.Second:            {"1m", "in 1m"},
		30*time.Minute - 1:          {"29m", "in 29m"},
		47 * time.Hour:              {"47h", "in 47h"},
		33*24*time.Hour + time.Hour: {"33d", "in 33d"},
		-73 * time.Hour:             {"0s", "3d ago"},
		-999 * time.Millisecond:     {"0s", "now"},
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
		left, whole time.Duration
		want        string
	}{
		{30, 30, "[##########]"}, {40, 30, "[##########]"}, {0, 30, "[----------]"}, {-1, 30, "[----------]"},
		{15, 30, "[#####-----]"}, {29999, 30000, "[#########-]"}, {1, 30000, "[#---------]"}, {5, 0, "[----------]"},
	} {
		if got := term.Bar(c.left, c.whole, 12); got != c.want {
			t.Errorf("%d of %d: %s, want %s", c.left, c.whole, got, c.want)
		}
	}
	if got := term.Bar(1, 2, 0); !strings.HasPrefix(got, "[") || len(got) != 3 {
		t.Errorf("no width: %q", got)
	}
}
