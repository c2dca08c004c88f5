package term

import (
	"runtime"
	"strings"
	"time"
)

// Marks draws with the characters that the terminal has. The zero value draws
// in ASCII.
type Marks struct{ unicode bool }

// MarksFor returns the marks of a locale: block characters where it says UTF-8
// (POSIX: LC_ALL, else LC_CTYPE, else LANG), and on Windows, whose consoles
// take UTF-16 whatever the code page is.
func MarksFor(getenv func(string) string) Marks {
	if runtime.GOOS == "windows" {
		return Marks{true}
	}
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if locale := getenv(name); locale != "" {
			locale = strings.ToUpper(locale)
			return Marks{strings.Contains(locale, "UTF-8") || strings.Contains(locale, "UTF8")}
		}
	}
	return Marks{}
}

// Unicode returns the marks of a terminal that has block characters, or not.
func Unicode(has bool) Marks { return Marks{has} }

// Ellipsis returns what stands for a text that was cut off.
func (m Marks) Ellipsis() string {
	if m.unicode {
		return "…"
	}
	return "..."
}

// Bar returns the part left of a whole as a bar of width columns, such as
// [######----]. It is full only if all is left and empty only if nothing is.
func (m Marks) Bar(left, whole time.Duration, width int) string {
	inner := max(width, 1)
	if !m.unicode {
		inner = max(width-2, 1)
	}
	n := 0
	switch {
	case whole <= 0 || left <= 0:
	case left >= whole:
		n = inner
	default:
		n = min(max(int(float64(inner)*float64(left)/float64(whole)+0.5), 1), inner-1)
	}
	if m.unicode {
		return strings.Repeat("█", n) + strings.Repeat("░", inner-n)
	}
	return "[" + strings.Repeat("#", n) + strings.Repeat("-", inner-n) + "]"
}
