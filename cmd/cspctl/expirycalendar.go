package main

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/term"
)

// calendar returns an iCalendar object (RFC 5545): an event where each API
// token expires, with an alarm for each stage at which the agent warns.
func (c *checks) calendar() string {
	var w icsWriter
	w.line("BEGIN:VCALENDAR")
	w.line("VERSION:2.0")
	w.line("PRODID:-//cspctl//cspctl " + icsText(ipc.Version) + "//EN")
	w.line("NAME:API tokens") // RFC 7986
	w.line("X-WR-CALNAME:API tokens")
	events := 0
	for _, k := range c.list {
		if k.Status == ipc.ExpiryKnown {
			c.event(&w, k)
			events++
		}
	}
	if events == 0 { // a calendar must have a component (section 3.6)
		for _, l := range []string{"BEGIN:VTIMEZONE", "TZID:Etc/UTC", "BEGIN:STANDARD", "DTSTART:19700101T000000",
			"TZOFFSETFROM:+0000", "TZOFFSETTO:+0000", "END:STANDARD", "END:VTIMEZONE"} {
			w.line(l)
		}
	}
	w.line("END:VCALENDAR")
	return w.String()
}

func (c *checks) event(w *icsWriter, k check) {
	what := "API token of profile " + k.Profile
	if k.TokenName != "" {
		what = "API token " + k.TokenName + " of profile " + k.Profile
	}
	stamp := k.CheckedAt
	if stamp.IsZero() {
		stamp = c.now
	}
	w.line("BEGIN:VEVENT")
	// The same for the token that replaces it: the event moves.
	w.line("UID:" + icsText("api-token."+k.Profile+"."+either(k.Org, "none")+"@"+host(k.Server)))
	w.line("DTSTAMP:" + icsTime(stamp))
	w.line("DTSTART:" + icsTime(k.ExpiresAt))
	w.line("SUMMARY:" + icsText(what+" expires"))
	page := either(k.RenewURL, k.Server+" (My Account > API Tokens)") // an older agent does not tell it
	w.line("DESCRIPTION:" + icsText("Make a new one at "+page+", then: cspctl login "+k.Profile))
	w.line("TRANSP:TRANSPARENT")
	stages := k.Stages
	if stages == nil { // an older agent has the same ones for all
		stages = c.stages
	}
	for _, stage := range stages {
		trigger, text := "PT0S", what+" has expired"
		if stage != "expired" {
			d, err := ipc.ParseDuration(stage)
			if err != nil {
				continue // of a newer agent
			}
			trigger, text = "-"+icsDuration(d), what+" expires in "+stage
		}
		w.line("BEGIN:VALARM")
		w.line("ACTION:DISPLAY")
		w.line("TRIGGER:" + trigger)
		w.line("DESCRIPTION:" + icsText(text))
		w.line("END:VALARM")
	}
	w.line("END:VEVENT")
}

// host returns what follows the scheme of an origin.
func host(origin string) string {
	_, h, ok := strings.Cut(origin, "://")
	if !ok {
		return origin
	}
	return h
}

func icsTime(t time.Time) string { return t.UTC().Format("20060102T150405Z") }

// icsDuration returns a duration of whole seconds (section 3.3.6).
func icsDuration(d time.Duration) string {
	const day = 24 * time.Hour
	if d%day == 0 && d > 0 {
		return "P" + strconv.Itoa(int(d/day)) + "D"
	}
	return "PT" + strconv.Itoa(int(d/time.Second)) + "S"
}

// icsText escapes a text (section 3.3.11).
func icsText(s string) string {
	return strings.NewReplacer(`\`, `\\`, ";", `\;`, ",", `\,`).Replace(term.Clean(s))
}

// icsWriter writes content lines, folded at 75 octets without breaking a
// character (section 3.1).
type icsWriter struct{ strings.Builder }

func (w *icsWriter) line(s string) {
	room := 75
	for len(s) > room {
		n := room
		for !utf8.RuneStart(s[n]) {
			n--
		}
		w.WriteString(s[:n] + "\r\n ")
		s, room = s[n:], 74
	}
	w.WriteString(s + "\r\n")
}
