package main

import (
	"bytes"
	"encoding/json"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	ics "github.com/arran4/golang-ical"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/cspctl/cspctl/internal/ipc"
)

const day = 24 * time.Hour

// expires is a profile whose API token has that long to live at noon.
func expires(name string, left time.Duration) ipc.ProfileExpiry {
	return ipc.ProfileExpiry{Profile: name, Provider: "csp", Server: "https://csp.example", Org: "acme",
		Status: ipc.ExpiryKnown, ExpiresAt: noon.Add(left), CheckedAt: noon.Add(-2 * time.Hour)}
}

func is(name, status string) ipc.ProfileExpiry {
	return ipc.ProfileExpiry{Profile: name, Provider: "csp", Server: "https://csp.example", Status: status}
}

func reports(t *testing.T, list ...ipc.ProfileExpiry) *fakeAgent {
	f := newAgent(t)
	f.json("GET /v1/expiry", ipc.ExpiryReport{Profiles: list, Stages: []string{"30d", "1h", "later", "expired"}})
	return f
}

// P7: the exit code tells what the worst profile is.
func TestP7ExpiryExitCodes(t *testing.T) {
	dead, off := expires("dead", 90*day), expires("off", 90*day)
	dead.Refused, off.Deactivated = true, true
	good, soon, now, gone := expires("good", 90*day), expires("soon", 10*day), expires("now", 2*day), expires("gone", -day)
	for _, c := range []struct {
		name  string
		list  []ipc.ProfileExpiry
		flags []string
		want  int
	}{
		{"far away", []ipc.ProfileExpiry{good}, nil, 0},
		{"never", []ipc.ProfileExpiry{is("p", ipc.ExpiryNever)}, nil, 0},
		{"a system that does not tell", []ipc.ProfileExpiry{is("p", ipc.ExpiryNone)}, nil, 0},
		{"warning", []ipc.ProfileExpiry{good, soon}, nil, 1},
		{"critical", []ipc.ProfileExpiry{now, soon}, nil, 2},
		{"expired", []ipc.ProfileExpiry{gone}, nil, 2},
		{"expired, no thresholds", []ipc.ProfileExpiry{gone}, []string{"--warn", "0s", "--critical", "0s"}, 2},
		{"refused", []ipc.ProfileExpiry{good, dead}, nil, 2},
		{"refused, of a system that does not tell", []ipc.ProfileExpiry{{Profile: "p", Status: ipc.ExpiryNone, Refused: true}}, nil, 2},
		{"deactivated", []ipc.ProfileExpiry{off}, nil, 2},
		{"unknown", []ipc.ProfileExpiry{good, is("p", ipc.ExpiryUnknown)}, nil, 3},
		{"a state that is not known here", []ipc.ProfileExpiry{is("p", "lunar")}, nil, 3},
		{"warning beats unknown", []ipc.ProfileExpiry{is("p", ipc.ExpiryUnknown), soon}, nil, 1},
		{"critical beats all", []ipc.ProfileExpiry{is("p", ipc.ExpiryUnknown), soon, now}, nil, 2},
		{"wider", []ipc.ProfileExpiry{good}, []string{"--warn", "100d"}, 1},
		{"wider still", []ipc.ProfileExpiry{good}, []string{"--warn", "100d", "--critical=2400h"}, 2},
		{"narrower", []ipc.ProfileExpiry{now}, []string{"--warn", "1d", "--critical", "12h"}, 0},
		{"at the edge", []ipc.ProfileExpiry{expires("p", 14*day)}, nil, 0},
		{"just below", []ipc.ProfileExpiry{expires("p", 14*day-time.Millisecond)}, nil, 1},
	} {
		f := reports(t, c.list...)
		for _, form := range []string{"table", "json", "nagios"} {
			r := shell{agent: f}.run(t, append([]string{"expiry", "-o", form}, c.flags...)...)
			if r.code != c.want || r.stdout == "" || r.stderr != "" {
				t.Errorf("%s as %s: exit code %d, want %d; %q, %q", c.name, form, r.code, c.want, r.stdout, r.stderr)
			}
		}
		for _, form := range []string{"prometheus", "ics"} {
			r := shell{agent: f}.run(t, append([]string{"expiry", "-o", form}, c.flags...)...)
			if r.code != 0 || r.stdout == "" {
				t.Errorf("%s as %s: exit code %d", c.name, form, r.code)
			}
		}
	}
}

// Every failure is unknown, 3; and nagios gets its line even so.
func TestExpiryFailures(t *testing.T) {
	empty := reports(t)
	refusing := newAgent(t)
	refusing.refuse("GET /v1/expiry", ipc.CodeNoSuchProfile, "there is no profile x|y", "cspctl login x")
	for _, c := range []struct {
		name  string
		agent *fakeAgent
		args  []string
	}{
		{"no agent", nil, nil},
		{"no profile", empty, nil},
		{"refused", refusing, []string{"x"}},
		{"thresholds", empty, []string{"--warn", "3d", "--critical", "4d"}},
		{"not a duration", empty, []string{"--warn", "soon"}},
		{"not a name", empty, []string{"../x"}},
		{"unknown flag", empty, []string{"--nonsense"}},
		{"a flag without a value", empty, []string{"--warn"}},
	} {
		r := shell{agent: c.agent}.run(t, append([]string{"expiry"}, c.args...)...)
		r.want(t, 3, "cspctl: error: ")
		if r.stdout != "" {
			t.Errorf("%s: stdout has %q", c.name, r.stdout)
		}
		r = shell{agent: c.agent}.run(t, append([]string{"expiry", "-o", "nagios"}, c.args...)...)
		if r.code != 3 || !strings.HasPrefix(r.stdout, "CSP API TOKENS UNKNOWN: ") || strings.Count(r.stdout, "\n") != 1 || strings.Contains(r.stdout, "|") {
			t.Errorf("%s, nagios: %d, %q, %q", c.name, r.code, r.stdout, r.stderr)
		}
		r = shell{agent: c.agent}.run(t, append([]string{"expiry", "-ojson"}, c.args...)...)
		var e ipc.Error
		if err := json.Unmarshal([]byte(r.stderr), &e); r.code != 3 || r.stdout != "" || err != nil || e.Code == "" {
			t.Errorf("%s, JSON: %d, %q, %q", c.name, r.code, r.stdout, r.stderr)
		}
	}
	if r := (shell{agent: empty}).run(t, "expiry", "-o", "gold"); r.code != 3 || r.stdout != "" {
		t.Errorf("-o gold: %+v", r)
	}
}

func TestExpiryAsksForTheProfilesNamed(t *testing.T) {
	f := reports(t, expires("a", 90*day))
	shell{agent: f, env: map[string]string{"CSPCTL_PROFILE": "z"}}.run(t, "expiry").want(t, 0)
	shell{agent: f}.run(t, "expiry", "a", "b").want(t, 0)
	if got := strings.Join(f.asked(), "; "); got != "GET /v1/expiry; GET /v1/expiry?profile=a&profile=b" {
		t.Errorf("asked %s", got)
	}
}

func TestExpiryTable(t *testing.T) {
	named := expires("ci", 2*day)
	named.TokenName = "build\x1b[2J"
	refused := expires("old", 9*day)
	refused.Refused = true
	f := reports(t, named, refused, expires("gone", -3*day), is("new", ipc.ExpiryUnknown))
	r := shell{agent: f}.run(t, "expiry")
	want := `PROFILE  STATE     LEFT  API TOKEN                                                                    CHECKED
ci       critical  2d    build?[2J  expires 2026-05-06 12:00 UTC (in 2d)                          2h ago
old      critical  9d               refused by the server, expires 2026-05-13 12:00 UTC (in 9d)  2h ago
gone     critical  0s               expired 2026-05-01 12:00 UTC (3d ago)                         2h ago
new      unknown   -                expiry unknown                                                never
`
	squeeze := func(s string) string { return regexp.MustCompile(` {2,}`).ReplaceAllString(s, "  ") }
	if squeeze(r.stdout) != squeeze(want) {
		t.Errorf("got\n%s\nwant\n%s", r.stdout, want)
	}
}

func TestExpiryJSON(t *testing.T) {
	r := shell{agent: reports(t, expires("a", 90*day), expires("b", -time.Second/2), is("c", ipc.ExpiryNever))}.run(t, "expiry", "-o", "json")
	var got struct {
		Schema, Warn, Critical int
		State                  string
		Profiles               []struct {
			Profile, State, Status string
			Left                   *int64
			ExpiresAt              string `json:"expires_at"`
		}
	}
	if err := json.Unmarshal([]byte(r.stdout), &got); err != nil || len(got.Profiles) != 3 {
		t.Fatalf("%v: %s", err, r.stdout)
	}
	a, b, c := got.Profiles[0], got.Profiles[1], got.Profiles[2]
	if got.Schema != 1 || got.State != "critical" || got.Warn != 14*24*3600 || got.Critical != 3*24*3600 ||
		a.State != "ok" || *a.Left != 90*24*3600 || a.ExpiresAt != "2026-08-02T12:00:00Z" ||
		b.State != "critical" || *b.Left != -1 || c.Left != nil || c.ExpiresAt != "" || c.Status != "never" {
		t.Errorf("%s", r.stdout)
	}
}

// The line as the guidelines have it: text, a bar, label=value[unit];warn;crit.
func TestExpiryNagios(t *testing.T) {
	trick := expires("trick", 10*day)
	trick.TokenName = "a|b\nc"
	for _, c := range []struct {
		list []ipc.ProfileExpiry
		want string
	}{
		{[]ipc.ProfileExpiry{expires("far", 90*day), expires("near", 60*day)},
			"CSP API TOKENS OK: 2 profiles, the next: near expires 2026-07-03 12:00 UTC (in 60d) | 'far'=7776000s;1209600:;259200: 'near'=5184000s;1209600:;259200:\n"},
		{[]ipc.ProfileExpiry{is("p", ipc.ExpiryNever)}, "CSP API TOKENS OK: 1 profile\n"},
		{[]ipc.ProfileExpiry{trick, expires("far", 90*day)},
			"CSP API TOKENS WARNING: trick expires 2026-05-14 12:00 UTC (in 10d); 1 fine | 'trick'=864000s;1209600:;259200: 'far'=7776000s;1209600:;259200:\n"},
		{[]ipc.ProfileExpiry{expires("gone", -90*time.Minute)},
			"CSP API TOKENS CRITICAL: gone expired 2026-05-04 10:30 UTC (1h ago) | 'gone'=-5400s;1209600:;259200:\n"},
		{[]ipc.ProfileExpiry{is("new", ipc.ExpiryUnknown)}, "CSP API TOKENS UNKNOWN: new expiry unknown | 'new'=U;1209600:;259200:\n"},
	} {
		r := shell{agent: reports(t, c.list...)}.run(t, "expiry", "-o", "nagios")
		if r.stdout != c.want {
			t.Errorf("got  %swant %s", r.stdout, c.want)
		}
		perf := regexp.MustCompile(`^CSP API TOKENS (OK|WARNING|CRITICAL|UNKNOWN): [^|\n]+( \|( '[a-z]+'=(-?\d+s|U);\d+:;\d+:)+)?\n$`)
		if !perf.MatchString(r.stdout) {
			t.Errorf("not a plugin's line: %q", r.stdout)
		}
	}
}

// What is printed is read by the parser that Prometheus's own tools use.
func TestExpiryPrometheus(t *testing.T) {
	odd := expires("odd", 10*day)
	odd.TokenName = "a\\b \"c\"\nd \xff é"
	odd.Refused = true
	f := reports(t, odd, is("forever", ipc.ExpiryNever), is("new", ipc.ExpiryUnknown), is("vcd", ipc.ExpiryNone))
	r := shell{agent: f}.run(t, "expiry", "-o", "prometheus")
	r.want(t, 0)
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(r.stdout))
	if err != nil {
		t.Fatalf("%v\n%s", err, r.stdout)
	}
	got := map[string]float64{}
	for name, f := range families {
		if f.GetHelp() == "" || f.GetType().String() != "GAUGE" {
			t.Errorf("%s: help %q, type %s", name, f.GetHelp(), f.GetType())
		}
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			got[name+" "+labels["profile"]] = m.GetGauge().GetValue()
			if want := "a\\b \"c\"\nd \uFFFD é"; name == "csp_api_token_info" && labels["profile"] == "odd" &&
				(labels["token_name"] != want || labels["org"] != "acme" || labels["server"] != "https://csp.example") {
				t.Errorf("labels %q", labels)
			}
		}
	}
	for name, want := range map[string]float64{
		"csp_api_token_expiry_timestamp_seconds odd":     float64(noon.Add(10 * day).Unix()),
		"csp_api_token_expiry_timestamp_seconds forever": math.Inf(1),
		"csp_api_token_checked_timestamp_seconds odd":    float64(noon.Add(-2 * time.Hour).Unix()),
		"csp_api_token_expiry_unknown new":               1,
		"csp_api_token_expiry_unknown vcd":               0,
		"csp_api_token_refused odd":                      1,
		"csp_api_token_refused new":                      0,
		"csp_api_token_deactivated odd":                  0,
		"csp_api_token_info vcd":                         1,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v (%v), want %v", name, v, ok, want)
		}
	}
	for _, none := range []string{"csp_api_token_expiry_timestamp_seconds new", "csp_api_token_checked_timestamp_seconds forever"} {
		if v, ok := got[none]; ok {
			t.Errorf("%s is %v", none, v)
		}
	}
}

// What is printed is read by a calendar library, and keeps to the form.
func TestExpiryCalendar(t *testing.T) {
	odd := expires("odd", 10*day)
	odd.TokenName = `Zürich; "CI", a\b ` + strings.Repeat("é", 80) + "\nBEGIN:VEVENT"
	odd.RenewURL = odd.Server + "/csp/gateway/portal/#/user/tokens"
	f := reports(t, odd, expires("plain", -day), is("forever", ipc.ExpiryNever))
	r := shell{agent: f}.run(t, "expiry", "-o", "ics")
	r.want(t, 0)
	for line := range strings.SplitSeq(strings.TrimSuffix(r.stdout, "\r\n"), "\r\n") {
		if len(line) > 75 || strings.ContainsAny(line, "\r\n") || line == "" {
			t.Errorf("%d octets: %q", len(line), line)
		}
		if !bytes.Equal([]byte(line), bytes.ToValidUTF8([]byte(line), []byte("?"))) {
			t.Errorf("folded within a character: %q", line)
		}
	}
	cal, err := ics.ParseCalendar(strings.NewReader(r.stdout))
	if err != nil {
		t.Fatal(err)
	}
	events := cal.Events()
	if len(events) != 2 {
		t.Fatalf("%d events", len(events))
	}
	e := events[0]
	at, err := e.GetStartAt()
	if err != nil || !at.Equal(noon.Add(10*day)) {
		t.Errorf("starts %v, %v", at, err)
	}
	summary := e.GetProperty(ics.ComponentPropertySummary).Value
	if want := `API token Zürich; "CI", a\b ` + strings.Repeat("é", 80) + "?BEGIN:VEVENT of profile odd expires"; summary != want {
		t.Errorf("summary %q", summary)
	}
	for i, where := range []string{odd.RenewURL, odd.Server + " (My Account > API Tokens)"} { // the second: an older agent
		name := []string{"odd", "plain"}[i]
		if got := events[i].GetProperty(ics.ComponentPropertyDescription).Value; got != "Make a new one at "+where+", then: cspctl login "+name {
			t.Errorf("description %q", got)
		}
	}
	var triggers []string
	for _, a := range e.Alarms() {
		triggers = append(triggers, a.GetProperty(ics.ComponentPropertyTrigger).Value)
		if a.GetProperty(ics.ComponentPropertyAction).Value != "DISPLAY" || a.GetProperty(ics.ComponentPropertyDescription).Value == "" {
			t.Error("an alarm that shows nothing")
		}
	}
	if got := strings.Join(triggers, " "); got != "-P30D -PT3600S PT0S" {
		t.Errorf("alarms %s", got)
	}
	// The event of the next token is the same one.
	later := shell{agent: reports(t, expires("odd", 100*day))}.run(t, "expiry", "-o", "ics")
	if uid := "UID:" + e.Id() + "\r\n"; e.Id() == events[1].Id() || !strings.Contains(later.stdout, uid) {
		t.Errorf("UIDs %q, %q", e.Id(), events[1].Id())
	}
}

func TestExpiryCalendarWithoutEvents(t *testing.T) {
	r := shell{agent: reports(t)}.run(t, "expiry", "-o", "ics")
	cal, err := ics.ParseCalendar(strings.NewReader(r.stdout))
	if err != nil || r.code != 0 || len(cal.Components) == 0 || len(cal.Events()) != 0 {
		t.Errorf("%d, %v: %q", r.code, err, r.stdout)
	}
	if r := (shell{agent: reports(t)}).run(t, "expiry", "-o", "prometheus"); r.code != 0 || !strings.Contains(r.stdout, "# TYPE ") {
		t.Errorf("%+v", r)
	}
}

func FuzzCalendar(f *testing.F) {
	f.Add("ci", "acme", "https://csp.example")
	f.Add(strings.Repeat("é", 99), "a;b,c\\d", "x\r\ny")
	f.Fuzz(func(t *testing.T, token, org, server string) {
		c := checks{now: noon, stages: []string{"1d"}}
		p := expires("p", day)
		p.TokenName, p.Org, p.Server = token, org, server
		c.add(p)
		text := c.calendar()
		cal, err := ics.ParseCalendar(strings.NewReader(text))
		if err != nil || len(cal.Events()) != 1 {
			t.Fatalf("%v: %q", err, text)
		}
		for line := range strings.SplitSeq(text, "\r\n") {
			if len(line) > 75 {
				t.Errorf("%d octets", len(line))
			}
		}
	})
}

func FuzzPrometheus(f *testing.F) {
	f.Add("ci", "acme", "https://csp.example")
	f.Add("a\\b\"c\"\nd", "\xff", "{}")
	f.Fuzz(func(t *testing.T, token, org, server string) {
		c := checks{now: noon}
		p := expires("p", day)
		p.TokenName, p.Org, p.Server = token, org, server
		c.add(p)
		parser := expfmt.NewTextParser(model.LegacyValidation)
		if _, err := parser.TextToMetricFamilies(strings.NewReader(c.prometheus())); err != nil {
			t.Fatal(err)
		}
	})
}
