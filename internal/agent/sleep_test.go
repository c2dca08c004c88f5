package agent_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
)

// After a resume, the next exchange finds no connection from before it.
func TestT8IdleConnectionsAreClosedBeforeTheNextExchange(t *testing.T) {
	for _, d := range []time.Duration{6 * time.Second, time.Minute, 8 * time.Hour, 5 * 24 * time.Hour} {
		t.Run(d.String(), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.mustToken("")
				time.Sleep(time.Second)
				before := w.server.dropped()
				w.clock.suspend(d)
				w.server.set(func(s *server) { s.judge = s.idleFirst(before, t) })
				if _, err := w.fresh(); err != nil { // before Run has had a look
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				if n := w.server.dropped() - before; n != 1 {
					t.Errorf("connections were dropped %d times", n)
				}
			})
		})
	}
}

func TestT8NothingIsDroppedWithoutASleep(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for range 100 {
			_, _ = w.fresh()
			time.Sleep(7 * time.Minute)
		}
		w.clock.suspend(time.Second) // a sleep too short to matter
		time.Sleep(time.Minute)
		w.clock.stepWall(24 * time.Hour)
		time.Sleep(time.Minute)
		if w.server.dropped() != 0 {
			t.Errorf("connections were dropped %d times", w.server.dropped())
		}
	})
}

// Where timers run on in suspend, as on Windows, the jump between two looks
// of Run tells of it.
func TestT8SleepIsNoticedWhereTimersRunOn(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.mustToken("")
		thaw := w.clock.freeze() // Run looks no more, and no timer stands still
		time.Sleep(10 * time.Minute)
		thaw()
		time.Sleep(31 * time.Second)
		if w.server.dropped() != 1 {
			t.Errorf("connections were dropped %d times", w.server.dropped())
		}
	})
}

func TestT1T7TokensAreRenewedAfterASleep(t *testing.T) {
	for _, d := range []time.Duration{15 * time.Minute, 20 * time.Minute, 24 * time.Minute} {
		t.Run(d.String(), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.mustToken("")
				time.Sleep(5 * time.Minute)
				w.clock.suspend(d)
				time.Sleep(33 * time.Second)
				w.mustCount(2)
			})
		})
	}
	// After days, nobody has asked for long; the first caller gets a new one.
	inWorld(t, func(t *testing.T, w *world) {
		first := w.mustToken("")
		w.clock.suspend(4 * 24 * time.Hour)
		if tok := w.mustToken(""); tok == first {
			t.Error("a token of last week")
		}
		w.mustCount(2)
	})
}

// Whoever notices the sleep first, the renewals after it are spread out.
func TestT10RenewalsAfterASleepAreSpread(t *testing.T) {
	for _, foreground := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			defer w.stop()
			const profiles = 30
			for i := range profiles {
				w.login(fmt.Sprint("p", i))
				if _, err := w.ask(ipc.TokenRequest{Profile: fmt.Sprint("p", i)}); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(time.Minute)
			w.clock.suspend(20 * time.Minute)
			if foreground {
				if _, err := w.ask(ipc.TokenRequest{Profile: "p0", Fresh: true}); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(33 * time.Second)
			at := map[time.Duration]bool{}
			for _, c := range w.server.calls()[profiles:] {
				at[c.at] = true
			}
			if n := len(w.server.calls()); n != 2*profiles || len(at) < profiles-1 {
				t.Errorf("%d exchanges, at %d moments", n, len(at))
			}
		})
	}
}

// A caller who needs a token during that spread does not wait for it.
func TestT10NobodyWaitsForTheSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		const profiles = 30
		askAll := func() {
			for i := range profiles {
				if _, err := w.ask(ipc.TokenRequest{Profile: fmt.Sprint("p", i)}); err != nil {
					t.Fatal(err)
				}
			}
		}
		for i := range profiles {
			w.login(fmt.Sprint("p", i))
		}
		askAll()
		w.clock.suspend(29 * time.Minute)
		for w.server.dropped() == 0 {
			time.Sleep(time.Millisecond)
			synctest.Wait()
		}
		if n := w.server.count(); n > profiles+2 {
			t.Fatalf("%d exchanges: nothing is left to wait for", n)
		}
		w.atOnce(askAll)
		time.Sleep(time.Minute)
		w.mustCount(2 * profiles)
	})
}

// Either clock ends a token: the boot clock stands still in a virtual machine
// that is paused, and only the wall clock is set right after it.
func TestP2T1EitherClockEndsAToken(t *testing.T) {
	for name, pass := range map[string]func(*clock, time.Duration){
		"boot": (*clock).suspend,
		"wall": (*clock).stepWall,
	} {
		inWorld(t, func(t *testing.T, w *world) {
			w.mustToken("")
			pass(w.clock, 24*time.Minute)
			if tok := w.mustToken(""); tok != "token-1" {
				t.Errorf("%s: %q a minute before its floor", name, tok)
			}
			w.mustToken("")
			w.server.set(func(s *server) { s.life = time.Hour })
			pass(w.clock, time.Minute)
			if reply, err := w.Token(t.Context(), ipc.TokenRequest{}); err != nil || reply.ExpiresIn < 1801 {
				t.Errorf("%s: the old token at its floor: %d s left, %v", name, reply.ExpiresIn, err)
			}
		})
	}
}

func TestT2WallClockSteps(t *testing.T) {
	for _, step := range []time.Duration{time.Second, 10 * time.Minute, 24 * time.Hour} {
		inWorld(t, func(t *testing.T, w *world) {
			// Back: the token gets no younger, and is renewed when it would have been.
			tok := w.mustToken("")
			w.clock.stepWall(-step)
			for w.server.leftAtServer(tok) > 0 {
				got, err := w.token("")
				w.mustKeep(got, err, floorOf(1799*time.Second), "after a step back")
				time.Sleep(time.Second)
			}
			if n := w.server.count(); n != 2 {
				t.Errorf("step %v back: %d exchanges", step, n)
			}
			// Forward: at worst it is exchanged once too often.
			n := w.server.count()
			w.clock.stepWall(step)
			for range 60 {
				w.mustToken("")
				time.Sleep(time.Second)
			}
			if n := w.server.count() - n; n > 1 {
				t.Errorf("step %v forward: %d exchanges", step, n)
			}
		})
	}
}
