package doctor

import (
	"context"
	"os"
	"slices"
	"strings"
	"time"
)

// skewWarn and skewFail are how far apart the clocks may be. Tokens live by
// the server's; a certificate, a passcode and the end of a token by both.
const (
	skewWarn = 30 * time.Second
	skewFail = 5 * time.Minute
)

// clock compares this machine's clock with the servers' (T2).
func clock(_ context.Context, e *exam) []Finding {
	// A machine without a battery for its clock boots in the past.
	if st, err := os.Stat(e.Files.State); err == nil && time.Until(st.ModTime()) > skewWarn {
		return []Finding{fail("this machine's clock says "+time.Now().UTC().Format(time.RFC3339)+", and the agent's state was written at "+
			st.ModTime().UTC().Format(time.RFC3339)+", later than that", clockFix)}
	}
	answers := slices.DeleteFunc(slices.Clone(e.answers()), func(a answer) bool { return !a.dated })
	if len(answers) == 0 {
		return []Finding{info("no server told the time, so this machine's clock was compared with none")}
	}
	// The least of them: a server of its own may be wrong, all of them hardly.
	a := slices.MinFunc(answers, func(a, b answer) int { return int(a.skew.Abs() - b.skew.Abs()) })
	off := max(0, a.skew.Abs()-a.took/2)
	which := "behind"
	if a.skew < 0 {
		which = "ahead of"
	}
	host := strings.TrimPrefix(strings.TrimPrefix(a.server, "https://"), "http://")
	text := "this machine's clock is " + a.skew.Abs().Round(time.Second).String() + " " + which + " that of " + host +
		" (give or take " + (a.took/2 + time.Second/2).Round(100*time.Millisecond).String() + ")"
	fix := clockFix
	switch {
	case off > skewFail:
		return []Finding{fail(text, fix)}
	case off > skewWarn:
		return []Finding{warn(text, fix)}
	case a.skew.Abs() < 2*time.Second:
		text = "this machine's clock is that of " + host + ", to two seconds"
	}
	return []Finding{ok(text)}
}
