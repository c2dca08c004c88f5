package term

import (
	"strconv"
	"time"
)

// moment is what may be missing of a day: a token of 180 days is not one of 179
// as soon as it is made.
const moment = time.Minute

// Span returns a length of time in its largest unit, rounded down, but for a
// moment that is missing of a day: 45s, 29m, 5h, 33d. Below zero it is 0s.
func Span(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < time.Minute:
		return strconv.Itoa(int(d/time.Second)) + "s"
	case d < time.Hour:
		return strconv.Itoa(int(d/time.Minute)) + "m"
	case d+moment < 48*time.Hour:
		return strconv.Itoa(int(d/time.Hour)) + "h"
	}
	return strconv.Itoa(int((d+moment)/(24*time.Hour))) + "d"
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
