package notify

import (
	"strings"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
)

func TestCompose(t *testing.T) {
	now := time.Date(2026, 3, 2, 15, 0, 0, 0, time.UTC)
	in := func(d time.Duration) time.Time { return now.Add(d) }
	for _, c := range []struct {
		name    string
		w       ipc.Event
		urgency byte
		body    string // its first line
	}{
		{"weeks", ipc.Event{Stage: "30d", ExpiresAt: in(30 * day)}, low, "It ends Wed 1 Apr 2026, 15:00."},
		{"a week", ipc.Event{Stage: "7d", ExpiresAt: in(7 * day)}, normal, "It ends Mon 9 Mar 2026, 15:00."},
		{"just over a week", ipc.Event{Stage: "14d", ExpiresAt: in(7*day + time.Minute)}, low, "It ends Mon 9 Mar 2026, 15:01."},
		{"just over a day", ipc.Event{Stage: "3d", ExpiresAt: in(day + time.Minute)}, normal, "It ends Tue 3 Mar 2026, 15:01."},
		{"a day", ipc.Event{Stage: "1d", ExpiresAt: in(day)}, critical, "It ends Tue 3 Mar 2026, 15:00."},
		{"an hour", ipc.Event{Stage: "1h", ExpiresAt: in(time.Hour)}, critical, "It ends Mon 2 Mar 2026, 16:00."},
		{"a moment", ipc.Event{Stage: "1h", ExpiresAt: in(time.Second)}, critical, "It ends Mon 2 Mar 2026, 15:00."},
		{"expired", ipc.Event{Stage: ipc.StageExpired, ExpiresAt: in(-day)}, critical, "It ended Sun 1 Mar 2026, 15:00."},
		{"told late", ipc.Event{Stage: "1h", ExpiresAt: in(-day)}, critical, "It ended Sun 1 Mar 2026, 15:00."},
		{"deactivated", ipc.Event{Stage: ipc.StageDeactivated, ExpiresAt: in(30 * day)}, critical, "It was deactivated in the console."},
		{"refused", ipc.Event{Stage: ipc.StageRefused}, critical, "It was revoked or replaced: the server takes it no more."},
		{"its name", ipc.Event{Stage: ipc.StageRefused, TokenName: "ci"}, critical, `The token "ci" was revoked or replaced: the server takes it no more.`},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.w.Summary, c.w.RenewWith = "API token of prod expires", "cspctl login prod"
			m := compose(c.w, now)
			want := message{c.urgency, c.w.Summary, c.body + "\nMake a new one, then run: cspctl login prod"}
			if m != want {
				t.Errorf("%+v, want %+v", m, want)
			}
		})
	}
}

// Text from the server stays in its line, and turns no other text around.
func TestComposeHostileName(t *testing.T) {
	m := compose(ipc.Event{Profile: "p", TokenName: "a\nb\u202ec\x1b[0m\u2028\xff " + strings.Repeat("x", 500),
		Org: "an-org", RenewURL: "https://console.example/tenant/an-org"}, time.Now())
	for _, bad := range []string{"\u202e", "\x1b", "\u2028", "\xff", "an-org"} {
		if strings.Contains(m.summary+m.body, bad) {
			t.Errorf("%q is in %q", bad, m.body)
		}
	}
	if n := strings.Count(m.body, "\n"); n != 1 {
		t.Errorf("%d line breaks in %q", n, m.body)
	}
	if len(m.body) > 300 {
		t.Errorf("%d bytes: %q", len(m.body), m.body)
	}
}
