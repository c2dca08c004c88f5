package main

import (
	"strconv"
	"strings"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/term"
)

// view is how a status is shown.
type view struct {
	width   int  // of the terminal, in columns; 0: nothing is cut or broken
	compact bool // the lines are few
	style   term.Style
	marks   term.Marks
	now     time.Time
}

func (a *app) view() view {
	return view{style: term.StyleFor(a.isTerminal(1), a.getenv), marks: term.MarksFor(a.getenv), now: a.now()}
}

// text returns all of it.
func (v view) text(st *ipc.Status) string {
	header, blocks := v.profiles(st.Profiles)
	all := append(append(v.head(st), ""), header...)
	for _, b := range blocks {
		all = append(all, b...)
	}
	return strings.Join(all, "\n") + "\n"
}

// head returns what there is to say of the agent itself.
func (v view) head(st *ipc.Status) []string {
	var t term.Table
	title := ""
	add := func(indent, text string, look func(string) string) {
		for _, l := range term.Wrap(term.Clean(text), v.room(len("settings")+2+len(indent))) {
			t.Cells(term.Cell{Text: title, Look: v.style.Dim}, term.Cell{Text: indent + l, Look: look})
			title = ""
		}
	}
	title = "agent"
	add("", "version "+st.Version+", pid "+strconv.Itoa(st.PID)+", up "+term.Span(v.now.Sub(st.StartedAt)), nil)
	if st.Locked {
		text := "locked"
		if st.LockedSince != nil {
			text += " " + term.Relative(*st.LockedSince, v.now)
		}
		add("", text+": nothing is given out; cspctl unlock", v.style.Yellow)
	}
	if !v.compact {
		title = "socket"
		add("", st.Socket, nil)
	}
	if st.Config.Error != "" {
		title = "settings"
		add("", st.Config.Error, v.style.Red)
		if st.Config.Kept {
			add("", "the settings before it stay in force", nil)
		}
	}
	title = "sinks"
	for _, sink := range st.Sinks {
		if sink.Error != nil {
			add("", sink.File+": "+sink.Error.Message, v.style.Yellow)
		}
	}
	title = "stores"
	if v.compact {
		var states []string
		for _, store := range st.Stores {
			states = append(states, store.Kind+" "+store.Status)
		}
		add("", strings.Join(states, ", "), nil)
		return lines(&t)
	}
	for _, store := range st.Stores {
		look := v.style.Green
		if store.Status != "ready" {
			look = v.style.Yellow
		}
		add("", store.Kind+": "+joined(store.Status, store.Detail), look)
		if store.Status != "ready" && store.Hint != "" {
			add("  ", store.Hint, nil)
		}
	}
	return lines(&t)
}

// lines returns the lines of a table.
func lines(t *term.Table) []string { return strings.Split(strings.TrimSuffix(t.String(), "\n"), "\n") }

// joined returns a text with what it is about, if that is known.
func joined(text, detail string) string {
	if detail == "" {
		return text
	}
	return text + ", " + detail
}

// room returns the columns that are left beside so many, 0 without a limit.
func (v view) room(taken int) int {
	if v.width == 0 {
		return 0
	}
	return max(v.width-taken, 8)
}

// fit cuts a text to so many columns; 0 is no limit.
func (v view) fit(text string, most int) string {
	text = term.Clean(text)
	if most <= 0 {
		return text
	}
	return term.Cut(text, most, v.marks.Ellipsis())
}

// The bars of a table, in columns.
const (
	shortBar = 6
	plainBar = 10 // where there is no limit
	longBar  = 24
)

// leastName is to how many columns a profile's name may be cut, to keep the
// table.
const leastName = 12

// profiles returns the lines above all profiles, and those of each. They are a
// table, if that is no wider than the terminal.
func (v view) profiles(list []ipc.ProfileStatus) (header []string, blocks [][]string) {
	if len(list) == 0 {
		return []string{"no profiles; log in: cspctl login"}, nil
	}
	t, ok := v.fitting(list)
	if !ok {
		for i := range list {
			blocks = append(blocks, append(v.stacked(&list[i]), v.notes(&list[i])...))
		}
		return nil, blocks
	}
	rows := lines(t)
	for i := range list {
		blocks = append(blocks, append([]string{rows[i+1]}, v.notes(&list[i])...))
	}
	return rows[:1], blocks
}

// fitting returns the table with the most in it that fits: with the names of
// tokens and servers, with long bars, with names in full.
func (v view) fitting(list []ipc.ProfileStatus) (*term.Table, bool) {
	if v.width == 0 {
		return v.table(list, plainBar, 0, false), true
	}
	for bar := longBar; bar >= plainBar; bar-- {
		if t := v.table(list, bar, 0, true); t.Width() <= v.width {
			return t, true
		}
	}
	for bar := longBar; bar >= shortBar; bar-- {
		if t := v.table(list, bar, 0, false); t.Width() <= v.width {
			return t, true
		}
	}
	t := v.table(list, shortBar, leastName, false)
	over := t.Width() - v.width
	if over > 0 {
		return nil, false
	}
	return v.table(list, shortBar, leastName-over, false), true
}

func (v view) table(list []ipc.ProfileStatus, bar, most int, rich bool) *term.Table {
	var t term.Table
	titles := []string{"PROFILE", "STATE", "ACCESS TOKEN", "RENEWAL", "API TOKEN"}
	if rich {
		titles = append(titles, "TOKEN NAME", "SERVER")
	}
	var header []term.Cell
	for _, h := range titles {
		header = append(header, term.Cell{Text: h, Look: v.style.Bold})
	}
	t.Cells(header...)
	for i := range list {
		p := &list[i]
		row := []term.Cell{{Text: v.fit(starred(p.Profile), most)}, {Text: p.State, Look: v.stateLook(p)},
			v.access(p, bar), {Text: v.renewal(p)}, v.apiToken(p, bar)}
		if rich {
			row = append(row, term.Cell{Text: v.fit(p.TokenName, 32)}, term.Cell{Text: v.fit(p.Server, 48)})
		}
		t.Cells(row...)
	}
	return &t
}

// stacked returns a profile as lines below each other, for narrow terminals.
func (v view) stacked(p *ipc.ProfileStatus) []string {
	const indent, gap = 2, 2
	bar := min(max(v.width-indent-len("access token")-gap-len(" 3650d"), 3), longBar)
	var t term.Table
	row := func(title string, c term.Cell) {
		c.Text = v.fit(c.Text, v.room(indent+len("access token")+gap))
		t.Cells(term.Cell{Text: "  " + title, Look: v.style.Dim}, c)
	}
	row("access token", v.access(p, bar))
	row("renewal", term.Cell{Text: v.renewal(p)})
	row("API token", v.apiToken(p, bar))
	name := v.style.Bold(v.fit(starred(p.Profile), v.room(len(p.State)+2)))
	first := name + "  " + term.Clean(p.State)
	if look := v.stateLook(p); look != nil {
		first = name + "  " + look(term.Clean(p.State))
	}
	return append([]string{first}, lines(&t)...)
}
