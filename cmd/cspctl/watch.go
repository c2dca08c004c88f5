package main

import (
	"slices"
	"strconv"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/term"
)

// screen is a terminal that is drawn again and again.
type screen interface {
	Size() (columns, lines int)
	Draw(lines []string) error
	Events() <-chan term.Event
	Suspend() error
	Resume() error
	Close()
}

// The keys of a watch.
const (
	ctrlC = 0x03
	ctrlL = 0x0c
	ctrlZ = 0x1a
)

const (
	frameTime = time.Second
	// unanswered is for how long nothing is said of an agent that is slow.
	unanswered = 3 * time.Second
)

// answer is what came of a question to the agent.
type answer struct {
	st  *ipc.Status
	err error
}

// watch is the state of a cspctl status --watch.
type watch struct {
	st     *ipc.Status // the last one
	at     time.Time   // when it came
	err    error       // of the last question; nil once one succeeded
	asking bool        // a question is under way
}

// runWatch shows the status until a person, or a signal, ends it.
func runWatch(a *app, first *ipc.Status) error {
	s, err := a.openScreen()
	if err != nil {
		return failed(ipc.CodeInternal, "can't draw on the terminal: "+reason(err), "leave out --watch")
	}
	defer s.Close()
	// A client of its own: what it has to say of versions was said, and would
	// land in the picture.
	c := ipc.Open(ipc.Options{Getenv: a.getenv, NoStart: true})
	questions, answers := make(chan struct{}, 1), make(chan answer, 1)
	defer close(questions)
	go func() {
		for range questions {
			st, err := askStatus(c)
			answers <- answer{st, err}
		}
	}()
	tick := time.NewTicker(frameTime)
	defer tick.Stop()
	w := watch{st: first, at: a.now()}
	for {
		v := a.view()
		var lines int
		v.width, lines = s.Size()
		v.width, v.compact = max(v.width-1, 1), true // see term.Screen.Draw
		if s.Draw(w.frame(v, lines)) != nil {
			return nil // the terminal went away
		}
		select {
		case <-tick.C:
			if !w.asking {
				w.asking = true
				questions <- struct{}{}
			}
		case r := <-answers:
			w.asking, w.err = false, r.err
			if r.err == nil {
				w.st, w.at = r.st, a.now()
			}
		case e := <-s.Events():
			switch e {
			case term.Ended, ctrlC, 'q', 'Q':
				return nil
			case ctrlZ:
				err = s.Suspend()
			case term.Resumed:
				err = s.Resume()
			case ctrlL, term.Resized:
			}
			if err != nil {
				return failed(ipc.CodeInternal, "can't draw on the terminal: "+reason(err), "")
			}
		}
	}
}

// frame returns the lines of a picture, no more than there is room for.
func (w *watch) frame(v view, lines int) []string {
	foot := v.style.Dim(v.fit(v.now.Local().Format("15:04:05")+"  q ends", v.width))
	if silent := v.now.Sub(w.at); w.err != nil || silent > unanswered {
		foot = v.style.Dim(v.fit("as of "+w.at.Local().Format("15:04:05")+"  q ends", v.width))
	}
	top := append(w.lost(v), v.head(w.st)...)
	list := w.st.Profiles
	header, blocks := v.profiles(list)
	room := lines - 1 // without the foot
	if len(top)+1+len(header)+1 > room {
		top = w.lost(v) // the profiles matter more
	} else {
		top = append(top, "")
	}
	out := append(top, header...)
	if len(out)+len(slices.Concat(blocks...)) > room {
		list = v.worstFirst(list)
		_, blocks = v.profiles(list)
	}
	shown := 0
	for i, b := range blocks {
		need := len(b)
		if i < len(blocks)-1 {
			need++ // to say that others are left out
		}
		if len(out)+need > room {
			break
		}
		out = append(out, b...)
		shown++
	}
	if rest := list[shown:]; len(rest) > 0 {
		out = append(out, v.style.Bold(v.fit(v.leftOut(rest), v.width)))
	}
	if len(out) > room {
		out = out[:max(room, 0)]
	}
	for len(out) < room {
		out = append(out, "")
	}
	return append(out, foot)
}

// worstFirst returns the profiles in trouble before the others.
func (v view) worstFirst(list []ipc.ProfileStatus) []ipc.ProfileStatus {
	var worst, others []ipc.ProfileStatus
	for i := range list {
		if v.troubled(&list[i]) {
			worst = append(worst, list[i])
		} else {
			others = append(others, list[i])
		}
	}
	return append(worst, others...)
}

// troubled reports whether somebody should look after a profile, now or soon.
func (v view) troubled(p *ipc.ProfileStatus) bool {
	ends, _ := v.ends(p)
	return p.LastError != nil || p.State == ipc.StateRefused || ends != ""
}

// leftOut says how many profiles there is no room for.
func (v view) leftOut(rest []ipc.ProfileStatus) string {
	troubled := 0
	for i := range rest {
		if v.troubled(&rest[i]) {
			troubled++
		}
	}
	text := strconv.Itoa(len(rest)) + " more"
	if troubled > 0 {
		text += ", " + strconv.Itoa(troubled) + " of them in trouble"
	}
	return text + ": make the window larger"
}

// lost says that the agent is gone, or does not answer.
func (w *watch) lost(v view) []string {
	silent := v.now.Sub(w.at)
	if w.err == nil && silent <= unanswered {
		return nil
	}
	text := "no word from the agent for " + term.Span(silent)
	if w.err != nil {
		text += ": " + w.err.Error()
	}
	lines := term.Wrap(term.Clean(text), v.width)
	for i := range lines {
		lines[i] = v.style.Red(lines[i])
	}
	return lines
}
