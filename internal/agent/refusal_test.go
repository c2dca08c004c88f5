package agent_test

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
)

func (w *world) failWith(err error) { w.server.set(func(s *server) { s.fail = err }) }

// impatient asks every second for d and returns how often the server was
// asked.
func (w *world) impatient(d time.Duration, req ipc.TokenRequest) int {
	before := w.server.count()
	for range int(d / time.Second) {
		_, _ = w.ask(req)
		time.Sleep(time.Second)
	}
	return w.server.count() - before
}

func TestP6PermanentRefusalIsRememberedAcrossRestarts(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.failWith(permanent)
		for range 10 {
			_, err := w.token("")
			if e := w.mustFail(err, ipc.CodeRefused); !strings.Contains(e.Hint, "cspctl login prod") || e.Message != permanent.Message {
				t.Fatalf("got %+v", e)
			}
		}
		w.restart()
		time.Sleep(48 * time.Hour)
		w.atOnce(func() {
			_, err := w.token("")
			w.mustFail(err, ipc.CodeRefused)
		})
		if s := w.status("prod"); s.State != ipc.StateRefused || s.LastError == nil || s.RetryAt != nil {
			t.Errorf("status is %+v", s)
		}
		if n := w.impatient(time.Hour, ipc.TokenRequest{}); n != 0 {
			t.Errorf("%d exchanges more", n)
		}
		w.mustCount(1)
	})
}

func TestP6RefusalIsForgottenWithItsSecret(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.failWith(permanent)
		_, err := w.token("")
		w.mustFail(err, ipc.CodeRefused)
		w.failWith(nil)
		w.login("prod")
		w.mustToken("")
		w.restart()
		w.mustToken("")
		if strings.Contains(w.state.text(), "refusal") {
			t.Error("the state still holds the refusal")
		}
	})
}

// The minute after a refusal is over after a restart, if it was before.
func TestP6FreshAfterARestart(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.failWith(permanent)
		_, _ = w.token("")
		time.Sleep(2 * time.Minute)
		w.failWith(nil)
		w.restart()
		if _, err := w.fresh(); err != nil {
			t.Error(err)
		}
	})
}

// A rename takes the refusal along: it is the same secret.
func TestP6RefusalSurvivesARename(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.failWith(permanent)
		_, _ = w.token("")
		if err := w.Rename(t.Context(), "prod", "live", false); err != nil {
			t.Fatal(err)
		}
		_, err := w.ask(ipc.TokenRequest{Profile: "live"})
		w.mustFail(err, ipc.CodeRefused)
		w.mustCount(1)
	})
}

// Other scopes that waited for their turn do not ask a server that has just
// refused the API token.
func TestP6OneRefusalAnswersAllWhoWait(t *testing.T) {
	for _, c := range []struct {
		err  error
		code ipc.Code
		most int
	}{{permanent, ipc.CodeRefused, 1}, {down, ipc.CodeUnreachable, 4}} {
		inWorld(t, func(t *testing.T, w *world) {
			w.failWith(c.err)
			w.server.set(func(s *server) { s.delay = time.Second })
			var wg sync.WaitGroup
			for _, scope := range []string{"a", "b", "c", "d", "e"} {
				wg.Go(func() {
					if _, err := w.ask(ipc.TokenRequest{Scope: []string{scope}}); code(err) != c.code {
						t.Errorf("%v", err)
					}
				})
			}
			wg.Wait()
			w.mustCount(c.most)
		})
	}
}

func TestP6FreshMayTryOnceAMinuteAfterARefusal(t *testing.T) {
	for _, refusal := range []error{permanent, denied} {
		inWorld(t, func(t *testing.T, w *world) {
			w.failWith(refusal)
			_, _ = w.token("")
			if n := w.impatient(time.Hour, ipc.TokenRequest{Fresh: true}); n > 60 || n < 55 {
				t.Errorf("%d exchanges in an hour", n)
			}
			w.restart()
			_, err := w.fresh()
			if err == nil {
				t.Error("no error")
			}
			time.Sleep(time.Minute)
			w.failWith(nil)
			if _, err := w.fresh(); err != nil {
				t.Errorf("a minute later: %v", err)
			}
			w.restart()
			if w.mustToken(""); strings.Contains(w.state.text(), "refusal") {
				t.Error("the refusal is still remembered")
			}
		})
	}
}

// Trouble on the way to the server takes back nothing that it said.
func TestP6OutageDoesNotForgetARefusal(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.failWith(permanent)
		_, _ = w.token("")
		time.Sleep(2 * time.Minute)
		w.failWith(down)
		_, err := w.fresh()
		w.mustFail(err, ipc.CodeUnreachable)
		n := w.server.count()
		_, err = w.token("")
		w.mustFail(err, ipc.CodeRefused)
		w.mustCount(n)
	})
}

// A refusal that could not be taken out of the state (a full disk) is taken
// out at the next success.
func TestP8RefusalIsForgottenOnceTheDiskHasRoom(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.failWith(permanent)
		_, _ = w.token("")
		time.Sleep(2 * time.Minute)
		w.state.set(func(f *stateFile) { f.fail = errFull })
		w.failWith(nil)
		if _, err := w.fresh(); err != nil {
			t.Fatal(err)
		}
		w.state.set(func(f *stateFile) { f.fail = nil })
		time.Sleep(20 * time.Minute)
		w.mustToken("")
		time.Sleep(5 * time.Minute) // its renewal
		w.restart()
		w.mustToken("")
	})
}

func TestP6RefusedBacksOffFromAMinuteToAnHour(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.failWith(denied)
		n := w.impatient(24*time.Hour, ipc.TokenRequest{})
		if n < 25 || n > 31 {
			t.Errorf("%d exchanges in 24 h", n)
		}
		var last time.Duration
		for i, c := range w.server.calls() {
			want := min(time.Minute<<max(0, i-1), time.Hour)
			if pause := c.at - last; i > 0 && (pause < want || pause > want+want/10+2*time.Second) {
				t.Errorf("pause %d is %v, want %v", i, pause, want)
			}
			last = c.at
		}
		_, err := w.token("")
		if e := w.mustFail(err, ipc.CodeRefusedForNow); e.Retry <= 0 || e.Retry > 4000 {
			t.Errorf("retry in %d s", e.Retry)
		}
		if w.status("prod").RetryAt == nil {
			t.Error("the status does not say when")
		}
	})
}

// An API token that dies while its access token is good: that is served to
// its end, and the server is asked once.
func TestP6T9DeadAPITokenLeavesItsLastTokenGood(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		first := w.mustToken("")
		w.failWith(permanent)
		for w.server.leftAtServer(first) > 302*time.Second {
			if tok := w.mustToken(""); tok != first {
				t.Fatal(tok)
			}
			time.Sleep(time.Second)
		}
		synctest.Wait()
		w.mustCount(2)
		time.Sleep(time.Minute)
		_, err := w.token("")
		w.mustFail(err, ipc.CodeRefused)
		w.mustCount(2)
	})
}

// One bad profile says nothing about another.
func TestT10OneBadProfileDoesNotBlockOthers(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		if _, err := w.Login(t.Context(), "bad", ipc.LoginRequest{Secret: secret.NewWire("bad"), Store: provider.Memory, NoVerify: true}); err != nil {
			t.Fatal(err)
		}
		w.failWith(permanent)
		_, err := w.ask(ipc.TokenRequest{Profile: "bad"})
		w.mustFail(err, ipc.CodeRefused)
		w.failWith(nil)
		w.mustToken("")
	})
}
