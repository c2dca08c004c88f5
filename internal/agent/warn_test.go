package agent_test

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cspctl/cspctl/internal/agent/expiry"
	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
)

const days = 24 * time.Hour

// listener is a channel that hears.
type listener struct {
	mu    sync.Mutex
	heard []string
}

func (*listener) Name() string { return "desktop" }
func (l *listener) Announce(_ context.Context, e ipc.Event, _ string) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard = append(l.heard, e.Stage)
	return "1", nil
}
func (l *listener) Withdraw(context.Context, string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard = append(l.heard, "cleared")
}

func (l *listener) clear() { l.mu.Lock(); defer l.mu.Unlock(); l.heard = nil }

func (l *listener) all() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.heard, " ")
}

// must checks all that was heard since the last call.
func (l *listener) must(t *testing.T, want string) {
	t.Helper()
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if got := strings.Join(l.heard, " "); got != want {
		t.Errorf("heard %q, want %q", got, want)
	}
	l.heard = nil
}

// watched has a watch look after the world's agent, also after a restart of
// both, until the test ends.
func (w *world) watched(l *listener) (restart func()) {
	start := func() (stop func()) {
		watch := expiry.New(expiry.Options{Profiles: w.Agent, Channels: []expiry.Channel{l},
			Stages: func(string) expiry.Stages { return expiry.Default },
			Now:    func() (time.Time, time.Duration) { i := w.clock.Now(); return i.Wall, i.Boot }})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { watch.Run(ctx); close(done) }()
		w.observe.Store(watch)
		return func() { cancel(); <-done }
	}
	stop := start()
	last := w.end
	w.end = func() { stop(); last() }
	return func() {
		w.restart()
		stop = start()
		last := w.end
		w.end = func() { stop(); last() }
	}
}

// made are details of a token of this life.
func made(at time.Time, life time.Duration) func() (provider.Details, error) {
	return func() (provider.Details, error) {
		return provider.Details{OrgID: "org", TokenName: "ci", CreatedAt: at, Expiry: provider.Expiry{Known: true, At: at.Add(life)}}, nil
	}
}

// A token of 180 days, from login to after its end, in a profile that nobody
// uses: the stages, each once, over restarts; one question about it a day, more
// near the end, none after it; no exchange but the first.
func TestP5P6P7LifeOfAnAPIToken(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var l listener
		restart := w.watched(&l)
		end := w.clock.Now().Wall.Add(180 * days)
		asked := w.tells(made(w.clock.Now().Wall, 180*days))
		if _, err := w.Login(t.Context(), "prod", as("s")); err != nil {
			t.Fatal(err)
		}
		left := func(d time.Duration) { time.Sleep(end.Sub(w.clock.Now().Wall) - d + time.Minute); synctest.Wait() }
		left(150 * days)
		if n := asked.Load(); n < 30 || n > 35 {
			t.Errorf("it was asked about %d times in 30 days", n)
		}
		w.clock.suspend(119 * days) // so that the test takes less time
		left(30 * days)
		l.must(t, "30d")
		restart()
		left(14 * days)
		l.must(t, "14d")
		restart()
		left(2 * time.Hour)
		l.must(t, "7d 3d 1d")
		before := asked.Load()
		left(time.Hour)
		if n := asked.Load() - before; n < 1 || n > 2 {
			t.Errorf("it was asked about %d times in an hour of the last day", n)
		}
		left(5 * time.Minute)
		w.tells(detailsFail(permanent)) // as a server says of what has ended
		w.failWith(permanent)
		left(0)
		l.must(t, "1h expired")
		asked = w.tells(detailsFail(permanent))
		time.Sleep(3 * days)
		restart()
		time.Sleep(3 * days)
		l.must(t, "")
		mustAsk(t, asked, 0)
		w.mustCount(1)
	})
}

// What happens to a token in the console is noticed within a day, though nobody
// uses the profile.
func TestP7WhatHappensInTheConsoleIsNoticed(t *testing.T) {
	for stage, tell := range map[string]func() (provider.Details, error){
		ipc.StageRefused: detailsFail(permanent),
		ipc.StageDeactivated: func() (provider.Details, error) {
			d, err := made(epoch, 400*days)()
			d.Deactivated = true
			return d, err
		},
	} {
		inWorld(t, func(t *testing.T, w *world) {
			var l listener
			restart := w.watched(&l)
			w.tells(made(w.clock.Now().Wall, 180*days))
			time.Sleep(time.Hour)
			w.tells(tell)
			time.Sleep(days + time.Minute)
			l.must(t, stage)
			restart() // it is remembered
			time.Sleep(2 * time.Hour)
			l.must(t, "")
			if e := w.expiry("prod"); e.Refused != (stage == ipc.StageRefused) || e.Deactivated == e.Refused {
				t.Errorf("%+v", e)
			}
			// An exchange that is refused tells it at once, and once.
			w.failWith(permanent)
			_, err := w.token("")
			w.mustFail(err, ipc.CodeRefused)
			restart()
			time.Sleep(2 * days)
			l.must(t, "")
			w.failWith(nil)
			w.tells(made(w.clock.Now().Wall, 180*days))
			if _, err := w.Login(t.Context(), "prod", as("new")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			l.must(t, "cleared")
		})
	}
}

// What was told is advice: nonsense in it costs a repeated warning at most.
func TestP8NonsenseInWhatWasToldCostsNoProfile(t *testing.T) {
	for _, nonsense := range []string{`"x"`, `[]`, `{"desktop":"x"}`, `{"desktop":{"stage":5}}`, `{"desktop":{"stage":"3d","at":"noon"}}`, `{"desktop":{"stage":"never"}}`} {
		inWorld(t, func(t *testing.T, w *world) {
			var l listener
			restart := w.watched(&l)
			w.tells(ends(w.clock.Now().Wall.Add(2 * days)))
			time.Sleep(time.Second) // two logins of one moment are one
			if _, err := w.Login(t.Context(), "prod", as("s")); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			l.clear()
			w.stop()
			text := regexp.MustCompile(`(?s)"told": \{.*?\n      \}`).ReplaceAllString(w.state.text(), `"told": `+nonsense)
			if !strings.Contains(text, nonsense) {
				t.Fatal(text)
			}
			w.state.set(func(f *stateFile) { f.b = []byte(text) })
			w.end = func() {}
			restart()
			time.Sleep(time.Minute)
			if w.mustToken("") == "" {
				t.Error("no token")
			}
			if got := l.all(); got != "" && got != "3d" && got != "cleared 3d" {
				t.Errorf("%s: heard %q", nonsense, got)
			}
		})
	}
}

// A warning that names a profile by its old name is taken back, and said anew.
func TestP7RenamedProfileIsWarnedOfByItsName(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var l listener
		w.watched(&l)
		w.tells(ends(w.clock.Now().Wall.Add(2 * days)))
		time.Sleep(time.Second) // two logins of one moment are one
		if _, err := w.Login(t.Context(), "prod", as("s")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		l.clear()
		if err := w.Rename(t.Context(), "prod", "main", false); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		l.must(t, "cleared 3d")
	})
}

func TestP7RefusedExchangeIsToldAtOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var l listener
		w.watched(&l)
		w.tells(made(w.clock.Now().Wall, 180*days))
		time.Sleep(time.Hour)
		w.failWith(permanent)
		_, err := w.token("")
		w.mustFail(err, ipc.CodeRefused)
		l.must(t, "refused")
	})
}

// P6: a server that is down is asked about a token less and less often, and
// every profile gets its turn after a sleep of days.
func TestP6T7T10TheWatchDoesNotHammer(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.watched(&listener{})
		asked := w.tells(detailsFail(down))
		time.Sleep(days)
		if n := asked.Load(); n < 20 || n > 35 {
			t.Errorf("asked %d times in a day of outage", n)
		}
	})
	inWorld(t, func(t *testing.T, w *world) {
		const profiles = 40
		for i := range profiles {
			w.login(fmt.Sprint("p", i))
		}
		w.tells(made(epoch, 1000*days))
		w.watched(&listener{})
		time.Sleep(time.Hour)
		var most, now atomic.Int64
		asked := w.tells(func() (provider.Details, error) {
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			time.Sleep(10 * time.Second)
			now.Add(-1)
			return made(epoch, 1000*days)()
		})
		w.clock.suspend(5 * days)
		time.Sleep(20 * time.Minute)
		if n := asked.Load(); n != profiles+1 || most.Load() > 4 {
			t.Errorf("%d questions, %d at once", n, most.Load())
		}
	})
}

// A keychain that is locked is never made to ask by the watch.
func TestT13TheWatchPromptsNobody(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.store.set(func(s *store) { s.fail = locked })
		asked := w.tells(made(epoch, 1000*days))
		w.watched(&listener{})
		time.Sleep(days)
		if w.store.prompt != 0 || asked.Load() != 0 {
			t.Errorf("%d prompts, %d questions", w.store.prompt, asked.Load())
		}
		w.store.set(func(s *store) { s.fail = nil })
		time.Sleep(time.Hour + time.Minute)
		mustAsk(t, asked, 1)
	})
}

// On a terminal, each stage is told of once a day, over restarts; always means
// each time, off never.
func TestP7WarningsOnATerminal(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.tells(ends(w.clock.Now().Wall.Add(8*days - time.Hour)))
		if _, err := w.Login(t.Context(), "prod", as("s")); err != nil {
			t.Fatal(err)
		}
		ask := func(mode string) string {
			t.Helper()
			tok, err := w.Token(t.Context(), ipc.TokenRequest{Warnings: mode})
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // it is put on record behind the answer
			if tok.Warning == nil {
				t.Fatal("there is no warning")
			}
			if tok.Warning.Silent {
				return ""
			}
			return tok.Warning.Stage
		}
		must := func(mode, want string) {
			t.Helper()
			if got := ask(mode); got != want {
				t.Errorf("%s: %q, want %q", mode, got, want)
			}
		}
		must("off", "")
		must("always", "14d")
		must("", "14d")
		must("auto", "14d")
		must("auto", "")
		w.restart()
		must("auto", "")
		time.Sleep(23*time.Hour + 59*time.Minute)
		must("auto", "7d") // another stage
		must("auto", "")
		time.Sleep(days - time.Minute)
		must("auto", "")
		time.Sleep(time.Minute)
		must("auto", "7d")
		must("auto", "")
		w.clock.stepWall(-48 * time.Hour)
		must("auto", "14d") // a clock stepped back silences nobody
		must("always", "14d")
		if _, err := w.Token(t.Context(), ipc.TokenRequest{Warnings: "loud"}); code(err) != ipc.CodeBadRequest {
			t.Errorf("loud: %v", err)
		}
	})
}

// P4: what was told is put on record behind the answer: a disk that hangs keeps
// no token back.
func TestP4WarningWaitsForNoDisk(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.tells(ends(w.clock.Now().Wall.Add(2 * days)))
		if _, err := w.Login(t.Context(), "prod", as("s")); err != nil {
			t.Fatal(err)
		}
		gate := make(chan struct{})
		w.state.set(func(f *stateFile) { f.gate = gate })
		w.atOnce(func() {
			for i := range 3 {
				tok, err := w.Token(t.Context(), ipc.TokenRequest{Warnings: "auto"})
				if err != nil || tok.Warning == nil || tok.Warning.Silent != (i > 0) {
					t.Errorf("%d: %+v, %v", i, tok.Warning, err)
				}
			}
		})
		close(gate)
	})
}

// Events tell of exchanges and logins, and of no secret.
func TestEvents(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		events := w.events()
		if _, err := w.Login(t.Context(), "prod", as("a secret")); err != nil {
			t.Fatal(err)
		}
		_, _ = w.fresh()
		time.Sleep(20*time.Minute + 30*time.Second) // renewed ahead
		for _, e := range []error{permanent, denied, down} {
			time.Sleep(2 * time.Hour)
			w.failWith(e)
			_, _ = w.fresh()
		}
		w.failWith(nil)
		w.store.set(func(s *store) { s.fail = locked })
		time.Sleep(2 * time.Hour)
		_, _ = w.fresh()
		w.store.set(func(s *store) { s.fail = nil })
		if err := w.Logout(t.Context(), "prod", false); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		var got []string
		for _, e := range events() {
			s := e.Type
			if e.Type == ipc.EventExchange {
				s += ":" + e.Outcome
			}
			if e.Ahead {
				s += ":ahead"
			}
			if e.Schema != 1 || e.Profile != "prod" || e.Provider != "csp" || e.Time.IsZero() || strings.Contains(fmt.Sprintf("%+v", e), "a secret") ||
				strings.Contains(fmt.Sprintf("%+v", e), "token-") || (e.Outcome == ipc.OutcomeGranted) != (e.Code == "" && !e.ExpiresAt.IsZero()) {
				t.Errorf("%+v", e)
			}
			if len(got) == 0 || got[len(got)-1] != s { // a server that is down is tried again
				got = append(got, s)
			}
		}
		if s := strings.Join(got, " "); s != "exchange:granted login exchange:granted exchange:granted:ahead "+
			"exchange:refused exchange:failed exchange:store logout" {
			t.Error(s)
		}
	})
}
