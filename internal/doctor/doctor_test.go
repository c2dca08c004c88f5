package doctor

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cspctl/cspctl/internal/term"
)

// T6: a check that hangs keeps no other from being reported, and ends.
func TestT6ACheckThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		defer close(gate)
		begun := time.Now()
		got := check{"disk", "the disk", func(context.Context, *exam) []Finding { <-gate; return nil }}.run(t.Context(), nil)
		if len(got) != 1 || got[0].State != Warn || got[0].ID != "disk" || got[0].Fix == "" || !strings.Contains(got[0].Summary, "the disk could not be looked at") {
			t.Errorf("got %+v", got)
		}
		if took := time.Since(begun); took != checkTime || checkTime >= totalTime {
			t.Errorf("it took %v", took)
		}
	})
}

// Text from elsewhere, such as a journal's, can't act on a terminal.
func TestFindingsAreClean(t *testing.T) {
	got := check{"service", "the service", func(context.Context, *exam) []Finding {
		return []Finding{fail("a\x1b[2Jb\nc", "rm \x07x").detail("one\x1b[0m\ntwo\rthree\n").subject("p\u202eq")}
	}}.run(t.Context(), nil)
	f := got[0]
	if f.Detail != "one?[0m\ntwo?three" || strings.ContainsAny(f.Summary+f.Fix+f.Subject, "\x1b\x07\n\u202e") {
		t.Errorf("got %q", f)
	}
}

func TestText(t *testing.T) {
	r := Report{Version: 1, Checks: []Finding{
		{ID: "agent", State: OK, Summary: "version 1 answers"},
		{ID: "file-store", State: Info, Summary: "not used"},
		{ID: "service", State: Fail, Summary: "csp-agent.service failed", Detail: "one\ntwo", Fix: "csp-agent start"},
		{ID: "profile", Subject: "prod", State: Warn, Summary: "expires", Fix: "cspctl login prod"},
	}}
	const want = `ok    agent       version 1 answers
info  file-store  not used
fail  service     csp-agent.service failed
                  | one
                  | two
                  fix: csp-agent start
warn  profile     prod: expires
                  fix: cspctl login prod
1 failure to mend, 1 warning to look at
`
	if got := r.Text(term.Style{}); got != want {
		t.Errorf("got\n%s", got)
	}
	for text, checks := range map[string][]Finding{
		"all is well\n":           {{State: OK}, {State: Info}},
		"2 warnings to look at\n": {{State: Warn}, {State: Warn}},
		"1 failure to mend\n":     {{State: Fail}},
	} {
		if got := (Report{Checks: checks}).Text(term.Style{}); !strings.HasSuffix(got, text) {
			t.Errorf("got %q, want %q at its end", got, text)
		}
	}
}

// The form of the document is a promise to support's programs.
func TestJSON(t *testing.T) {
	r := Report{Version: reportVersion, Time: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC), CSPAgent: "1.0.0", System: "linux/amd64",
		Checks: []Finding{{ID: "keychain", State: Fail, Summary: "the keychain is locked", Fix: "unlock it"}, {ID: "agent", State: OK, Summary: "answers"}}}
	b, err := r.JSON()
	if err != nil {
		t.Fatal(err)
	}
	const want = `{
  "version": 1,
  "ok": false,
  "time": "2026-11-20T12:00:00Z",
  "csp_agent_version": "1.0.0",
  "system": "linux/amd64",
  "checks": [
    {
      "id": "keychain",
      "state": "fail",
      "summary": "the keychain is locked",
      "fix": "unlock it"
    },
    {
      "id": "agent",
      "state": "ok",
      "summary": "answers"
    }
  ]
}
`
	if string(b) != want || !json.Valid(b) {
		t.Errorf("got %s", b)
	}
}

// The ids are a promise, too, and each is used once.
func TestTheTable(t *testing.T) {
	const want = "environment socket agent version service linger settings files disk keychain file-store proxy server clock profile process"
	var ids []string
	for _, c := range checks {
		ids = append(ids, c.id)
	}
	if got := strings.Join(ids, " "); got != want {
		t.Errorf("got %s", got)
	}
}

// A proxy's URL may hold a password.
func TestHostOf(t *testing.T) {
	for url, want := range map[string]string{
		"http://jo:hunter2@proxy.example:3128": "proxy.example:3128",
		"jo:hunter2@proxy.example:3128":        "proxy.example:3128",
		"proxy.example:3128":                   "proxy.example:3128",
		"http://jo:hun%ter2@proxy.example":     "not a URL",
		"":                                     "not a URL",
	} {
		if got := hostOf(url); got != want {
			t.Errorf("%q: got %q", url, got)
		}
	}
}
