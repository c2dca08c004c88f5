package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/term"
)

// manyStates is a status with each thing that can be said of a profile.
func manyStates() ipc.Status {
	const day = 24 * time.Hour
	in := func(d time.Duration) *time.Time { at := noon.Add(d); return &at }
	st := ipc.Status{Version: "1.2.3", PID: 4711, StartedAt: noon.Add(-3 * time.Hour), Socket: "/run/user/1000/csp-agent/agent.sock",
		Stores: []ipc.StoreStatus{{Kind: "keychain", Status: "ready"},
			{Kind: "file", Status: "locked", Detail: "the file store waits for its passphrase", Hint: "unlock it: cspctl unlock"}}}
	add := func(name, state string, e *ipc.Expiry, change func(*ipc.ProfileStatus)) {
		p := ipc.ProfileStatus{State: state, Profile: ipc.Profile{Name: name, Provider: "csp", Server: "https://console.cloud.vmware.com",
			Store: "keychain", LoggedIn: noon.Add(-40 * day), APIToken: e, RenewURL: "https://console.cloud.vmware.com/csp/gateway/portal/#/user/tokens"}}
		if change != nil {
			change(&p)
		}
		st.Profiles = append(st.Profiles, p)
	}
	token := func(p *ipc.ProfileStatus) {
		p.AccessToken = &ipc.TokenStatus{ObtainedAt: noon.Add(-5 * time.Minute), ExpiresAt: noon.Add(25 * time.Minute), RenewAt: in(15 * time.Minute)}
	}
	add("app", ipc.StateReady, nil, func(p *ipc.ProfileStatus) { token(p); p.Provider, p.AccessToken.RenewAt = "csp-app", nil })
	add("asleep", ipc.StateReady, &ipc.Expiry{Never: true}, func(p *ipc.ProfileStatus) { token(p); p.AccessToken.ExpiresAt = noon.Add(-time.Minute) })
	add("dead", ipc.StateRefused, &ipc.Expiry{ExpiresAt: in(-3 * day)}, func(p *ipc.ProfileStatus) {
		p.LastError = &ipc.Error{Code: ipc.CodeRefused, Message: "the API token is expired, revoked or unknown to console.cloud.vmware.com",
			Hint: "log in again: cspctl login dead"}
	})
	add("ended", ipc.StateIdle, &ipc.Expiry{ExpiresAt: in(-3 * day)}, nil)
	add("failing", ipc.StateFailing, &ipc.Expiry{ExpiresAt: in(20 * day), CreatedAt: noon.Add(-60 * day)}, func(p *ipc.ProfileStatus) {
		token(p)
		p.RetryAt = in(40 * time.Second)
		p.LastError = &ipc.Error{Code: ipc.CodeUnreachable, Message: "console.cloud.vmware.com can't answer now (503 service unavailable): the gateway says that it is undergoing maintenance\x1b[2J until the evening"}
	})
	add("mfa", ipc.StatePasscode, &ipc.Expiry{ExpiresAt: in(170 * day), CreatedAt: noon.Add(-10 * day)}, nil)
	add("off", ipc.StateIdle, &ipc.Expiry{ExpiresAt: in(90 * day)}, func(p *ipc.ProfileStatus) { p.Deactivated = true; p.TokenName = "日本の鍵" })
	add("out", ipc.StateLoggedOut, nil, func(p *ipc.ProfileStatus) { p.LoggedOut = true })
	add("prod", ipc.StateReady, &ipc.Expiry{ExpiresAt: in(33 * day), CreatedAt: noon.Add(-33 * day)}, func(p *ipc.ProfileStatus) {
		token(p)
		p.Default, p.TokenName = true, "nightly builds"
	})
	add("puzzling", ipc.StateIdle, &ipc.Expiry{}, nil)
	add("soon", ipc.StateReady, &ipc.Expiry{ExpiresAt: in(2 * day), CreatedAt: noon.Add(-178 * day)}, func(p *ipc.ProfileStatus) { token(p); p.TokenName = "deploy" })
	return st
}

// The pictures are in testdata: see them before they are changed, with
// CSPCTL_PICTURES=new, which takes what is shown now for right.
func TestStatusLayout(t *testing.T) {
	st := manyStates()
	long := manyStates()
	long.Profiles = long.Profiles[8:]
	long.Profiles[0].Name = strings.Repeat("long-name-", 6)
	for name, c := range map[string]struct {
		st    ipc.Status
		width int
		ascii bool
	}{
		"40":         {st, 40, false},
		"80":         {st, 80, false},
		"80-ascii":   {st, 80, true},
		"80-longest": {long, 80, false},
		"200":        {st, 200, false},
		"pipe":       {st, 0, true},
	} {
		v := view{width: c.width, marks: term.Unicode(!c.ascii), now: noon}
		got := v.text(&c.st)
		file := filepath.Join("testdata", "status-"+name+".golden")
		if os.Getenv("CSPCTL_PICTURES") == "new" {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got != strings.ReplaceAll(string(want), "\r\n", "\n") {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
		if c.ascii && strings.ContainsAny(got, "█░…") {
			t.Errorf("%s: not in ASCII:\n%s", name, got)
		}
	}
}

// Whatever the width, no line is wider; and colours change no column.
func TestStatusFitsAnyTerminal(t *testing.T) {
	st := manyStates()
	st.Profiles[3].Name = strings.Repeat("n", ipc.MaxNameLen)
	st.Config = ipc.ConfigStatus{Error: "/home/jane/.config/cspctl/config.toml:3: there is no setting x", Kept: true}
	for width := 30; width <= 260; width++ {
		for _, compact := range []bool{false, true} {
			v := view{width: width, compact: compact, marks: term.Unicode(true), now: noon}
			plain := v.text(&st)
			for line := range strings.Lines(plain) {
				if line = strings.TrimSuffix(line, "\n"); term.Width(line) > width {
					t.Errorf("%d columns in %d: %s", term.Width(line), width, line)
				}
			}
			v.style = term.Colours(true)
			coloured := v.text(&st)
			for _, code := range []string{"0", "1", "2", "31", "32", "33"} {
				coloured = strings.ReplaceAll(coloured, "\x1b["+code+"m", "")
			}
			if coloured != plain {
				t.Fatalf("colours change the text at %d:\n%q\n%q", width, coloured, plain)
			}
		}
	}
}

// Where nobody looks on, nothing is cut: for grep, and for logs.
func TestStatusInAPipeIsWhole(t *testing.T) {
	st := manyStates()
	st.Profiles[0].Name = strings.Repeat("n", ipc.MaxNameLen)
	f := newAgent(t)
	f.json("GET /v1/status", st)
	r := shell{agent: f, columns: 40}.run(t, "status")
	r.want(t, 0)
	for _, want := range []string{st.Profiles[0].Name + " ", "    " + term.Clean(st.Profiles[4].LastError.Message) + "\n"} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("no %q in\n%s", want, r.stdout)
		}
	}
	r = shell{agent: f, columns: 40, terminals: [3]bool{1: true}, env: map[string]string{"NO_COLOR": "1"}}.run(t, "status")
	for line := range strings.Lines(r.stdout) {
		if term.Width(line)-1 > 40 {
			t.Errorf("on a terminal: %s", line)
		}
	}
}

func TestStatusColoursByUrgency(t *testing.T) {
	s := term.Colours(true)
	v := view{style: s, marks: term.Unicode(true), now: noon}
	for days, want := range map[int]func(string) string{-1: s.Red, 2: s.Red, 3: s.Yellow, 13: s.Yellow, 14: s.Green} {
		at := noon.Add(time.Duration(days) * 24 * time.Hour)
		c := v.apiToken(&ipc.ProfileStatus{State: ipc.StateReady, Profile: ipc.Profile{APIToken: &ipc.Expiry{ExpiresAt: &at, CreatedAt: noon.AddDate(0, 0, -60)}}}, 10)
		if c.Look("x") != want("x") {
			t.Errorf("%s days left: %q", strconv.Itoa(days), c.Look("x"))
		}
	}
}
