package term

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// Width returns the columns that a cleaned s takes: two for the wide characters
// of East Asia and emoji (Unicode Standard Annex #11), none for combining ones.
func Width(s string) int {
	n := 0
	for _, r := range s {
		n += columns(r)
	}
	return n
}

func columns(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// Cut returns a cleaned s in at most so many columns. What was cut off is
// marked by an ellipsis, see [Marks.Ellipsis].
func Cut(s string, most int, ellipsis string) string {
	if Width(s) <= most {
		return s
	}
	if Width(ellipsis) > most {
		ellipsis = ""
	}
	end, rest := 0, most-Width(ellipsis)
	for i, r := range s {
		if rest -= columns(r); rest < 0 {
			break
		}
		end = i + utf8.RuneLen(r)
	}
	return strings.TrimRight(s[:max(end, 0)], " ") + ellipsis
}

// Wrap returns a cleaned s in lines of at most so many columns, broken between
// words where that is possible; in one line if most is not above 0.
func Wrap(s string, most int) []string {
	if most <= 0 || Width(s) <= most {
		return []string{s}
	}
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		if line != "" && Width(line)+1+Width(word) <= most {
			line += " " + word
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		for line = word; Width(line) > most; {
			head := Cut(line, most, "")
			if head == "" { // one wide character in one column
				_, n := utf8.DecodeRuneInString(line)
				head = line[:n]
			}
			lines, line = append(lines, head), line[len(head):]
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}
