package term

import (
	"strconv"
	"strings"
	"time"
)

// Span returns a length of time in its largest unit, rounded down: 45s, 29m,
// 5h, 33d. Below zero it is 0s.
func Span(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < time.Minute:
		return strconv.Itoa(int(d/time.Second)) + "s"
	case d < time.Hour:
		return strconv.Itoa(int(d/time.Minute)) + "m"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d/time.Hour)) + "h"
	}
	return strconv.Itoa(int(d/(24*time.Hour))) + "d"
}

// Relative returns t as seen from now: "in 29m", "3d ago", "now".
func Relative(t, now time.Time) string {
	switch d := t.Sub(now); {
	case d >= time.Second:
		return "in " + Span(d)
	case d <= -time.Second:
		return Span(-d) + " ago"
	}
	return "now"
}

// Bar returns the part left of a whole as a bar of width characters, such as
// [######----]. It is full only if all is left and empty only if nothing is.
func Bar(left, whole time.Duration, width int) string {
	inner := max(width-2, 1)
	n := 0
	switch {
	case whole <= 0 || left <= 0:
	case left >= whole:
		n = inner
	default:
		n = min(max(int(float64(inner)*float64(left)/float64(whole)+0.5), 1), inner-1)
	}
	return "[" + strings.Repeat("#", n) + strings.Repeat("-", inner-n) + "]"
}
