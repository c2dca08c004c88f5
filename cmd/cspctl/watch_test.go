package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/term"
)

// fakeScreen is a terminal in which somebody presses keys.
type fakeScreen struct {
	columns, lines int
	events         chan term.Event
	frames         chan string
	calls          []string
	gone           bool
}

func newFakeScreen() *fakeScreen {
	return &fakeScreen{columns: 80, lines: 24, events: make(chan term.Event, 8), frames: make(chan string, 1000)}
}

func (s *fakeScreen) Size() (int, int)          { return s.columns, s.lines }
func (s *fakeScreen) Events() <-chan term.Event { return s.events }
func (s *fakeScreen) Suspend() error            { s.calls = append(s.calls, "suspend"); return nil }
func (s *fakeScreen) Resume() error             { s.calls = append(s.calls, "resume"); return nil }
func (s *fakeScreen) Close()                    { s.calls = append(s.calls, "close"); close(s.frames) }
func (s *fakeScreen) Draw(lines []string) error {
	if s.gone {
		return fmt.Errorf("the terminal is gone")
	}
	s.frames <- strings.Join(lines, "\n")
	return nil
}

// waitFor returns the first frame that has text.
func (s *fakeScreen) waitFor(t *testing.T, text string) string {
	t.Helper()
	last := ""
	for deadline := time.After(20 * time.Second); ; {
		select {
		case f, open := <-s.frames:
			if !open {
				t.Fatalf("it ended before it showed %q: %s", text, last)
			}
			if last = f; strings.Contains(f, text) {
				return f
			}
		case <-deadline:
			t.Fatalf("never showed %q: %s", text, last)
		}
	}
}

func onScreen(s *fakeScreen, f *fakeAgent) shell {
	return shell{agent: f, screen: s, terminals: [3]bool{true, true, true}, env: map[string]string{"TERM": "xterm", "NO_COLOR": "1"}}
}

func TestWatchEnds(t *testing.T) {
	for _, e := range []term.Event{'q', 'Q', ctrlC, term.Ended} {
		f, s := newAgent(t), newFakeScreen()
		f.json("GET /v1/status", aStatus())
		s.events <- ctrlL
		s.events <- 'x'
		s.events <- ctrlZ
		s.events <- term.Resumed
		s.events <- e
		r := onScreen(s, f).run(t, "status", "--watch")
		r.want(t, 0)
		if got := strings.Join(s.calls, " "); got != "suspend resume close" || r.stdout != "" || r.stderr != "" {
			t.Errorf("event %d: %s; %+v", e, got, r)
		}
		if frame := <-s.frames; !strings.Contains(frame, "prod *") || !strings.Contains(frame, "q ends") {
			t.Errorf("shows %s", frame)
		}
	}
	f, s := newAgent(t), newFakeScreen()
	f.json("GET /v1/status", aStatus())
	s.gone = true
	onScreen(s, f).run(t, "status", "--watch").want(t, 0)
}

// An agent that fails is told of, and what it says afterwards is shown.
func TestWatchOutlivesTheAgent(t *testing.T) {
	f, s := newAgent(t), newFakeScreen()
	asked := 0
	f.mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) {
		if asked++; asked == 2 {
			sendJSON(w, 500, ipc.Error{Code: ipc.CodeInternal, Message: "out of order"})
			return
		}
		st := aStatus()
		st.PID = asked
		sendJSON(w, 200, st)
	})
	ended := make(chan result, 1)
	go func() { ended <- onScreen(s, f).run(t, "status", "--watch") }()
	s.waitFor(t, "pid 1,")
	if frame := s.waitFor(t, "no word from the agent for 0s: out of order"); !strings.Contains(frame, "pid 1,") || !strings.Contains(frame, "as of ") {
		t.Errorf("shows %s", frame)
	}
	if frame := s.waitFor(t, "pid 3,"); strings.Contains(frame, "no word") {
		t.Errorf("shows %s", frame)
	}
	s.events <- 'q'
	select {
	case r := <-ended:
		r.want(t, 0)
	case <-time.After(20 * time.Second):
		t.Fatal("it goes on")
	}
}

func TestWatchNeedsATerminal(t *testing.T) {
	for _, c := range []struct {
		sh   shell
		args []string
		code int
		want string
	}{
		{shell{}, nil, 2, "hint: leave out --watch, or don't redirect stdout"},
		{shell{terminals: [3]bool{true, false, true}}, nil, 2, "stdout is none"},
		{shell{terminals: [3]bool{1: true}}, []string{"-o", "json"}, 2, `"hint":"leave out --watch`},
		{shell{terminals: [3]bool{1: true}, env: map[string]string{"TERM": "dumb"}}, nil, 2, "TERM says that this one can't"},
		{shell{terminals: [3]bool{1: true}}, nil, 6, "no agent answers"},
	} {
		c.sh.run(t, append([]string{"status", "--watch"}, c.args...)...).want(t, c.code, c.want)
	}
	f := newAgent(t)
	f.json("GET /v1/status", aStatus())
	shell{agent: f, terminals: [3]bool{1: true}}.run(t, "status", "--watch").want(t, 1, "can't draw on the terminal: no screen")
}

// A frame fills the terminal and no more, whatever its size.
func TestWatchFrames(t *testing.T) {
	st := manyStates()
	w := watch{st: &st, at: noon}
	for lines := 1; lines < 60; lines++ {
		v := view{width: 79, compact: true, marks: term.Unicode(true), now: noon}
		frame := w.frame(v, lines)
		text := strings.Join(frame, "\n")
		if len(frame) != lines || !strings.HasSuffix(frame[lines-1], "q ends") {
			t.Fatalf("%d lines of %d:\n%s", len(frame), lines, text)
		}
		shown := 0
		for _, p := range st.Profiles {
			if strings.Contains("\n"+text, "\n"+starred(p.Profile)+" ") {
				shown++
			}
		}
		left := len(st.Profiles) - shown
		if said := fmt.Sprintf("\n%d more", left); lines > 2 && strings.Contains("\n"+text, said) != (left > 0) {
			t.Errorf("%d lines show %d profiles, and do not say %q:\n%s", lines, shown, said, text)
		}
		if lines == 59 && left > 0 {
			t.Errorf("there is room for all:\n%s", text)
		}
	}
	v := view{width: 79, compact: true, now: noon.Add(75 * time.Second)}
	w.err = &ipc.Error{Code: ipc.CodeAgent, Message: "no agent answers at /run/agent.sock"}
	if frame := w.frame(v, 24); frame[0] != "no word from the agent for 1m: no agent answers at /run/agent.sock" || !strings.HasPrefix(frame[23], "as of ") {
		t.Errorf("shows\n%s", strings.Join(frame, "\n"))
	}
	w.err = nil
	if frame := w.frame(v, 24); frame[0] != "no word from the agent for 1m" {
		t.Errorf("shows\n%s", strings.Join(frame, "\n"))
	}
}

func TestWatchCountsWhoIsInTrouble(t *testing.T) {
	st := manyStates()
	st.Profiles = append(st.Profiles, ipc.ProfileStatus{State: ipc.StateRefused, Profile: ipc.Profile{Name: "unkept"}}) // by an agent that began anew
	v := view{now: noon}
	if got := v.leftOut(st.Profiles); got != "12 more, 6 of them in trouble: make the window larger" { // dead, ended, failing, off, soon, unkept
		t.Errorf("got %q", got)
	}
	if got := v.leftOut(st.Profiles[8:9]); got != "1 more: make the window larger" {
		t.Errorf("got %q", got)
	}
}

// Where there is no room for all, those in trouble are shown first.
func TestWatchShowsTheWorstFirst(t *testing.T) {
	st := manyStates()
	w := watch{st: &st, at: noon}
	v := view{width: 100, compact: true, marks: term.Unicode(true), now: noon}
	order := func(lines int) (names []string) {
		for _, l := range w.frame(v, lines) {
			name, _, _ := strings.Cut(l, " ")
			if slices.ContainsFunc(st.Profiles, func(p ipc.ProfileStatus) bool { return p.Name == name }) {
				names = append(names, name)
			}
		}
		return names
	}
	for lines, want := range map[int]string{
		60: "app asleep dead ended failing mfa off out prod puzzling soon",
		24: "dead ended failing off soon app asleep",
		10: "dead",
	} {
		if got := strings.Join(order(lines), " "); got != want {
			t.Errorf("%d lines show %s, not %s", lines, got, want)
		}
	}
}
