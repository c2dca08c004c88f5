package doctor

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/cspctl/cspctl/internal/term"
)

// JSON is the report for programs and for support: it has no token, no secret
// and no password in it. It names paths, the uid, servers and proxies by their
// host, and profiles.
func (r Report) JSON() ([]byte, error) {
	b, err := json.MarshalIndent(r, "", "  ")
	return append(b, '\n'), err
}

// Text is the report for people: a line for each finding, and what mends it
// below.
func (r Report) Text(style term.Style) string {
	width := 0
	for _, f := range r.Checks {
		width = max(width, len(f.ID))
	}
	var b strings.Builder
	fails, warns := 0, 0
	for _, f := range r.Checks {
		mark := fmt.Sprintf("%-4s", f.State)
		switch f.State {
		case OK:
			mark = style.Green(mark)
		case Info:
			mark = style.Dim(mark)
		case Warn:
			mark = style.Yellow(mark)
			warns++
		case Fail:
			mark = style.Red(mark)
			fails++
		}
		summary := f.Summary
		if f.Subject != "" {
			summary = f.Subject + ": " + summary
		}
		fmt.Fprintf(&b, "%s  %-*s  %s\n", mark, width, f.ID, summary)
		indent := strings.Repeat(" ", 4+2+width+2)
		if f.Detail != "" {
			for line := range strings.SplitSeq(f.Detail, "\n") {
				b.WriteString(indent + style.Dim("| "+line) + "\n")
			}
		}
		if f.Fix != "" {
			b.WriteString(indent + "fix: " + style.Bold(f.Fix) + "\n")
		}
	}
	switch {
	case fails+warns == 0:
		b.WriteString("all is well\n")
	case fails == 0:
		fmt.Fprintf(&b, "%s to look at\n", count(warns, "warning"))
	case warns == 0:
		fmt.Fprintf(&b, "%s to mend\n", count(fails, "failure"))
	default:
		fmt.Fprintf(&b, "%s to mend, %s to look at\n", count(fails, "failure"), count(warns, "warning"))
	}
	return b.String()
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
