package main

import (
	"errors"
	"flag"
	"slices"
	"strings"
	"time"

	"github.com/cspctl/cspctl/internal/atomicfile"
	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/term"
)

var expiryCommand = command{
	name:    "expiry",
	args:    []arg{{name: "PROFILE", optional: true, repeat: true, kind: profileArg}},
	summary: "tell when API tokens expire; for people, monitoring and calendars",
	help: `
Without PROFILE, of every profile that is logged in. The answer is what the
agent remembers, so it comes at once and when the server is down, too; the agent
asks the server once a day, every six hours in the last week and every hour on
the last day.

The exit code is that of a monitoring plugin: 0 fine, 1 warning, 2 critical,
expired, deactivated or refused by the server, 3 unknown, wrong usage or no
agent; the worst counts, in the order critical, warning, unknown. A token that
never expires is fine, and so is a system that does not tell.

The forms of the output:
  table       for people
  json        what is known, and the verdict
  nagios      one line with performance data, for Nagios, Icinga, Checkmk
  prometheus  for the textfile collector of node_exporter; exit code 0
  ics         a calendar with an alarm for each stage of warning; exit code 0

With --to the last two are written to a file, as a whole and readable by
everybody; where nothing can be told, the file stays as it is.`,
	examples: `cspctl expiry
cspctl expiry prod --warn 30d --critical 7d -o nagios
cspctl expiry -o prometheus --to csp.prom
cspctl expiry -o ics > api-tokens.ics`,
	setup: func(fs *flag.FlagSet) runFunc {
		var o expiryOptions
		checkedVar(fs, &o.warn, "warn", "warn when less than `DURATION` is left (default 14d)", checkDuration)
		checkedVar(fs, &o.critical, "critical", "critical when less than `DURATION` is left (default 3d)", checkDuration)
		outputVar(fs, &o.output, "table", "json", "nagios", "prometheus", "ics")
		fileVar(fs, &o.to, "to", "write to `FILE`, for -o prometheus and ics")
		return func(a *app, args []string) error { return runExpiry(a, args, o) }
	},
	end: endExpiry,
}

// The thresholds, where no others are given; those of cspctl status, too.
const (
	warnLeft     = 14 * 24 * time.Hour
	criticalLeft = 3 * 24 * time.Hour
)

type expiryOptions struct{ warn, critical, output, to string }

// verdict is how bad it is: the exit code of a monitoring plugin, from
// https://www.monitoring-plugins.org/doc/guidelines.html. As an error it says
// that the result was printed, and is not good.
type verdict int

const (
	fine verdict = iota
	warning
	critical
	unknown
)

func (v verdict) Error() string { return v.String() }

func (v verdict) String() string { return [...]string{"ok", "warning", "critical", "unknown"}[v] }

// worse returns the worse of two: critical, warning, unknown, fine.
func (v verdict) worse(w verdict) verdict {
	rank := [...]int{fine: 0, unknown: 1, warning: 2, critical: 3}
	if rank[w] > rank[v] {
		return w
	}
	return v
}

// endExpiry says a failure, and returns the exit code.
func endExpiry(a *app, err error) int {
	if v, ok := errors.AsType[verdict](err); ok {
		return int(v)
	}
	if a.output == "nagios" { // which takes its one line from stdout
		text := err.Error()
		if e, ok := errors.AsType[*ipc.Error](err); ok && e.Hint != "" {
			text += " (" + e.Hint + ")"
		}
		_ = a.print(nagiosLine(unknown, text, ""))
	} else {
		a.fail(err)
	}
	return int(unknown)
}

// check is one profile, judged.
type check struct {
	ipc.ProfileExpiry
	left    time.Duration // of a known expiry
	verdict verdict
}

// checks are all profiles, judged by the thresholds.
type checks struct {
	list           []check
	stages         []string
	warn, critical time.Duration
	now            time.Time
	worst          verdict
}

func runExpiry(a *app, args []string, o expiryOptions) error {
	c := checks{now: a.now(), warn: warnLeft, critical: criticalLeft}
	if o.warn != "" {
		c.warn, _ = ipc.ParseDuration(o.warn) // it was checked
	}
	if o.critical != "" {
		c.critical, _ = ipc.ParseDuration(o.critical)
	}
	if c.warn < c.critical {
		return usage("--warn is less than --critical, so there would never be a warning", "give --warn the longer time")
	}
	put := a.print
	if o.to != "" {
		if o.output != "prometheus" && o.output != "ics" {
			return usage("--to is for -o prometheus and ics", "leave it out, or write the output to a file by the shell")
		}
		put = func(text string) error { return publish(o.to, text) }
	}
	report, err := askExpiry(a, args)
	if err != nil {
		return err
	}
	for _, p := range report.Profiles {
		c.add(p)
	}
	c.stages = report.Stages
	switch o.output {
	case "prometheus":
		return put(c.prometheus())
	case "ics":
		return put(c.calendar())
	}
	if len(c.list) == 0 {
		return failed(ipc.CodeNoSuchProfile, "no profile is logged in, so there is nothing to watch", "log in: cspctl login")
	}
	switch o.output {
	case "json":
		err = a.printJSON(c.document())
	case "nagios":
		err = a.print(c.nagios())
	default:
		err = a.print(c.table(term.StyleFor(a.isTerminal(1), a.getenv)))
	}
	if err == nil && c.worst != fine {
		return c.worst
	}
	return err
}

// publish replaces a file that programs of other users read, at any moment.
func publish(path, text string) error {
	if err := atomicfile.WriteMode(path, []byte(text), 0o644); err != nil {
		return failed(ipc.CodeInternal, path+" can't be written: "+reason(err), "the folder must be there, and yours to write to")
	}
	return nil
}

func askExpiry(a *app, names []string) (ipc.ExpiryReport, error) {
	var query []string
	for _, n := range names {
		if err := ipc.CheckName(n); err != nil {
			return ipc.ExpiryReport{}, err
		}
		query = append(query, "profile="+n)
	}
	path := "/v1/expiry"
	if len(query) > 0 {
		path += "?" + strings.Join(query, "&")
	}
	var report ipc.ExpiryReport
	err := a.agent().Call("GET", path, nil, &report)
	return report, err
}

func (c *checks) add(p ipc.ProfileExpiry) {
	k := check{ProfileExpiry: p}
	if p.Status == ipc.ExpiryKnown {
		k.left = p.ExpiresAt.Sub(c.now)
	}
	switch {
	case p.Refused, p.Deactivated, p.Status == ipc.ExpiryKnown && (k.left <= 0 || k.left < c.critical):
		k.verdict = critical
	case p.Status == ipc.ExpiryKnown && k.left < c.warn:
		k.verdict = warning
	case !slices.Contains([]string{ipc.ExpiryKnown, ipc.ExpiryNever, ipc.ExpiryNone}, p.Status): // of a newer agent, perhaps
		k.Status = ipc.ExpiryUnknown
		k.verdict = unknown
	}
	c.list = append(c.list, k)
	c.worst = c.worst.worse(k.verdict)
}

// text says in a few words how it stands.
func (k check) text(now time.Time) string {
	end := map[string]string{
		ipc.ExpiryNever: "never expires", ipc.ExpiryUnknown: "expiry unknown", ipc.ExpiryNone: "tells no expiry",
	}[k.Status]
	if k.Status == ipc.ExpiryKnown {
		end = "expires " + stamp(k.ExpiresAt, now)
		if k.left <= 0 {
			end = "expired " + stamp(k.ExpiresAt, now)
		}
	}
	switch {
	case k.Deactivated:
		return "deactivated, " + end
	case k.Refused && k.left >= 0:
		return "refused by the server, " + end
	}
	return end
}

func (c *checks) table(s term.Style) string {
	var t term.Table
	t.Row("PROFILE", "STATE", "LEFT", "API TOKEN", "", "CHECKED")
	for _, k := range c.list {
		left, checked := "-", "never"
		if k.Status == ipc.ExpiryKnown {
			left = term.Span(k.left)
		}
		if !k.CheckedAt.IsZero() {
			checked = term.Relative(k.CheckedAt, c.now)
		}
		look := [...]func(string) string{fine: s.Green, warning: s.Yellow, critical: s.Red, unknown: s.Yellow}[k.verdict]
		t.Cells(term.Cell{Text: k.Profile}, term.Cell{Text: k.verdict.String(), Look: look}, term.Cell{Text: left, Look: look},
			term.Cell{Text: k.TokenName}, term.Cell{Text: k.text(c.now)}, term.Cell{Text: checked})
	}
	return t.String()
}

// document is the JSON form.
func (c *checks) document() any {
	type profile struct {
		ipc.ProfileExpiry
		Left  *int64 `json:"left,omitempty"` // seconds, rounded down; missing if there is no known end
		State string `json:"state"`          // ok, warning, critical, unknown
	}
	doc := struct {
		Schema   int       `json:"schema"`
		State    string    `json:"state"` // the worst
		Warn     int64     `json:"warn"`  // seconds
		Critical int64     `json:"critical"`
		Profiles []profile `json:"profiles"`
	}{schema, c.worst.String(), int64(c.warn / time.Second), int64(c.critical / time.Second), []profile{}}
	for _, k := range c.list {
		p := profile{ProfileExpiry: k.ProfileExpiry, State: k.verdict.String()}
		if k.Status == ipc.ExpiryKnown {
			left := seconds(k.left)
			p.Left = &left
		}
		doc.Profiles = append(doc.Profiles, p)
	}
	return doc
}

// seconds rounds down, also below zero.
func seconds(d time.Duration) int64 {
	s := int64(d / time.Second)
	if d < 0 && d%time.Second != 0 {
		s--
	}
	return s
}
