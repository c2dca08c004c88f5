package main

import (
	"flag"
	"strconv"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/term"
)

var statusCommand = command{
	name:    "status",
	summary: "show the agent, its stores and every profile",
	help: `
For each profile: its state, the life that its access token has left, when the
next renewal is due, the life that its API token has left, and the last error.

States: ready (a good token is cached), idle (none was asked for of late),
failing (the last exchange failed, the next may not), refused (the server
refuses the secret: log in again), passcode (each exchange needs one).

No agent is started for it: exit 6 says that none runs.`,
	setup: func(fs *flag.FlagSet) runFunc {
		var output string
		outputVar(fs, &output, "table", "json")
		return func(a *app, _ []string) error { return runStatus(a, output) }
	},
}

func runStatus(a *app, output string) error {
	var st ipc.Status
	if err := a.runningAgent().Call("GET", "/v1/status", nil, &st); err != nil {
		return err
	}
	if output == "json" {
		return a.printJSON(struct {
			Schema int `json:"schema"`
			ipc.Status
		}{schema, st})
	}
	return a.print(statusText(&st, a.now(), term.StyleFor(a.isTerminal(1), a.getenv)))
}

func statusText(st *ipc.Status, now time.Time, s term.Style) string {
	var top term.Table
	top.Row("agent", "version "+st.Version+", pid "+strconv.Itoa(st.PID)+", up "+term.Span(now.Sub(st.StartedAt)))
	top.Row("socket", st.Socket)
	if st.Config.Error != "" {
		top.Cells(term.Cell{Text: "settings"}, term.Cell{Text: st.Config.Error, Look: s.Red})
		if st.Config.Kept {
			top.Row("", "the settings before it stay in force")
		}
	}
	for i, store := range st.Stores {
		title := ""
		if i == 0 {
			title = "stores"
		}
		look := s.Green
		if store.Status != "ready" {
			look = s.Yellow
		}
		top.Cells(term.Cell{Text: title}, term.Cell{Text: store.Kind + ": " + joined(store.Status, store.Detail), Look: look})
		if store.Status != "ready" && store.Hint != "" {
			top.Row("", "  "+store.Hint)
		}
	}
	if len(st.Profiles) == 0 {
		return top.String() + "\nno profiles; log in: cspctl login\n"
	}
	var t term.Table
	var header []term.Cell
	for _, h := range []string{"PROFILE", "STATE", "ACCESS TOKEN", "", "RENEWAL", "API TOKEN", "LAST ERROR"} {
		header = append(header, term.Cell{Text: h, Look: s.Bold})
	}
	t.Cells(header...)
	for i := range st.Profiles {
		t.Cells(statusRow(&st.Profiles[i], now, s)...)
	}
	return top.String() + "\n" + t.String()
}

// joined returns a text with what it is about, if that is known.
func joined(text, detail string) string {
	if detail == "" {
		return text
	}
	return text + ", " + detail
}

func statusRow(p *ipc.ProfileStatus, now time.Time, s term.Style) []term.Cell {
	bar, left, renewal := "-", "", "-"
	if t := p.AccessToken; t != nil {
		rest := t.ExpiresAt.Sub(now)
		bar = term.Bar(rest, t.ExpiresAt.Sub(t.ObtainedAt), 12)
		left = term.Span(rest) + " left"
		if t.RenewAt != nil {
			renewal = term.Relative(*t.RenewAt, now)
		}
	}
	if p.RetryAt != nil {
		renewal = "retry " + term.Relative(*p.RetryAt, now)
	}
	last := ""
	if p.LastError != nil {
		last = p.LastError.Message
	}
	look := map[string]func(string) string{
		ipc.StateReady: s.Green, ipc.StateIdle: s.Dim, ipc.StateFailing: s.Yellow, ipc.StatePasscode: s.Yellow, ipc.StateRefused: s.Red,
	}[p.State]
	return []term.Cell{
		{Text: starred(p.Profile)}, {Text: p.State, Look: look}, {Text: bar, Look: look}, {Text: left}, {Text: renewal},
		{Text: expiryText(p.APIToken, now), Look: expiryLook(p.APIToken, now, s)}, {Text: last, Look: look},
	}
}

// expiryLook colours the life left of an API token by the stages of warning:
// a month and three days.
func expiryLook(e *ipc.Expiry, now time.Time, s term.Style) func(string) string {
	if e == nil || e.ExpiresAt == nil {
		return nil
	}
	switch left := e.ExpiresAt.Sub(now); {
	case left <= 3*24*time.Hour:
		return s.Red
	case left <= 30*24*time.Hour:
		return s.Yellow
	}
	return nil
}
