package agent_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
)

// renewedWith lets a caller ask every second until the token is renewed, and
// returns the life that the old one had left then.
func (w *world) renewedWith(minTTL string) time.Duration {
	w.t.Helper()
	first := w.mustToken(minTTL)
	n := w.server.count()
	for w.server.leftAtServer(first) > 0 {
		w.atOnce(func() { w.mustToken(minTTL) })
		synctest.Wait()
		if w.server.count() > n {
			return w.server.leftAtServer(first)
		}
		time.Sleep(time.Second)
	}
	w.t.Fatal("it was not renewed ahead")
	return 0
}

// Renewal begins at twice the floor or half the life, whichever is less, and
// up to a twentieth of the life or 30 s earlier, by chance.
func TestP4T5RenewalBeginsAhead(t *testing.T) {
	for _, c := range []struct{ life, at time.Duration }{
		{59 * time.Second, 29 * time.Second},
		{5 * time.Minute, 149 * time.Second},
		{8 * time.Minute, 239 * time.Second},
		{15 * time.Minute, 449 * time.Second},
		{1799 * time.Second, 10 * time.Minute},
		{time.Hour, 10 * time.Minute},
		{5 * time.Hour, 10 * time.Minute},
	} {
		t.Run(c.life.String(), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.server.set(func(s *server) { s.life = c.life })
				got := w.renewedWith("")
				slack := min(c.life/20, 30*time.Second) + 3*time.Second
				if got < c.at-3*time.Second || got > c.at+slack {
					t.Errorf("renewed with %v left, want %v", got, c.at)
				}
			})
		})
	}
}

func TestP4RenewalBeginsEarlierForCallersWhoAskForMore(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		if got := w.renewedWith("20m"); got < 21*time.Minute-3*time.Second || got > 21*time.Minute+33*time.Second {
			t.Errorf("renewed with %v left", got)
		}
		// An hour after the last such caller the wish is forgotten.
		for range 65 * 60 {
			time.Sleep(time.Second)
			w.mustToken("")
		}
		if got := w.renewedWith(""); got > 11*time.Minute {
			t.Errorf("renewed with %v left, though nobody asks for more", got)
		}
	})
}

// It begins at once, when a caller's wish makes it due.
func TestP4RenewalBeginsWhenAWishMakesItDue(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.mustToken("")
		time.Sleep(10*time.Minute + 17*time.Second)
		w.mustCount(1)
		w.mustToken("19m")
		synctest.Wait()
		w.mustCount(2)
	})
}

func TestP4RenewalIsJittered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		for i := range 20 {
			w.login(fmt.Sprint("p", i))
		}
		askAll := func() {
			for i := range 20 {
				if _, err := w.ask(ipc.TokenRequest{Profile: fmt.Sprint("p", i)}); err != nil {
					t.Fatal(err)
				}
			}
		}
		askAll()
		time.Sleep(15 * time.Minute)
		askAll()
		time.Sleep(6 * time.Minute)
		at := map[time.Duration]int{}
		for _, c := range w.server.calls()[20:] {
			at[c.at.Truncate(time.Second)]++
		}
		for when, n := range at {
			if n > 7 {
				t.Errorf("%d of 20 profiles are renewed in the same second, %v", n, when)
			}
		}
		if n := w.server.count(); n != 40 {
			t.Errorf("%d exchanges", n)
		}
	})
}

// A profile that nobody asks for costs one renewal at most, within the life in
// which it was asked for, and then nothing.
func TestP5IdleProfileCostsNoExchange(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		if _, err := w.Login(t.Context(), "unused", ipc.LoginRequest{Secret: secret.NewWire("x"), Store: provider.Memory}); err != nil {
			t.Fatal(err)
		}
		w.mustCount(1) // the login's own
		w.mustToken("")
		time.Sleep(24 * time.Hour)
		w.mustCount(3)
		time.Sleep(24 * time.Hour)
		w.mustCount(3)
	})
}

// In use all day, a profile costs one exchange for each time that a token
// comes to its renewal, and callers never wait.
func TestP5ProfileInUseCostsItsRenewals(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.mustToken("")
		w.server.set(func(s *server) { s.delay = time.Second })
		for range 24 * 60 * 2 {
			w.atOnce(func() { w.mustToken("") })
			time.Sleep(30 * time.Second)
		}
		if n := w.server.count(); n < 70 || n > 76 { // every 20 minutes, or a little sooner
			t.Errorf("%d exchanges in 24 h", n)
		}
	})
}

// A server that hands the same token back is not stormed, however often
// callers ask over its whole life.
func TestT5SameTokenBackIsNoStorm(t *testing.T) {
	for name, set := range map[string]func(*server){
		"JWT":          func(*server) {},
		"JWT, undated": func(s *server) { s.undated = true },
		"opaque":       func(s *server) { s.opaque = true },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.server.set(func(s *server) { s.same = true })
				w.server.set(set)
				first := w.mustToken("")
				for w.server.leftAtServer(first) > 3*time.Second {
					for range 3 {
						if tok, err := w.token(""); err != nil || tok != first {
							t.Fatalf("%q, %v", tok, err)
						}
					}
					time.Sleep(100 * time.Millisecond)
				}
				if n := w.server.count(); n > 30 {
					t.Errorf("%d exchanges over one life", n)
				}
			})
		})
	}
}

// An answer that would live less long than what is cached does not take its
// place, and the server is asked again only at the minimum interval.
func TestT9WorseAnswerDoesNotReplaceABetterOne(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		first := w.mustToken("")
		w.server.set(func(s *server) { s.life = 10 * time.Second })
		for w.server.leftAtServer(first) > 301*time.Second {
			if tok := w.mustToken(""); tok != first {
				t.Fatalf("got %q with %v left", tok, w.server.leftAtServer(tok))
			}
			time.Sleep(time.Second)
		}
		if n := w.server.count(); n > 75 {
			t.Errorf("%d exchanges", n)
		}
	})
}

// While renewals fail, the server is asked ever less often.
func TestP6FailingRenewalBacksOff(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.mustToken("")
		time.Sleep(19 * time.Minute)
		w.server.set(func(s *server) { s.fail = down })
		before := w.server.count()
		for range 5 * 60 {
			w.mustToken("")
			time.Sleep(time.Second)
		}
		// Four tries each, at 0, 5, 15, 35, 75, 135, ... seconds.
		if n := w.server.count() - before; n > 8*4 || n < 5*4 {
			t.Errorf("%d tries in five minutes", n)
		}
		w.server.set(func(s *server) { s.fail = nil })
		time.Sleep(70 * time.Second)
		if left := w.server.leftAtServer(w.mustToken("")); left < 25*time.Minute {
			t.Errorf("not renewed: %v left", left)
		}
	})
}

func TestT4CachedExpiresInIsRelative(t *testing.T) {
	// A proxy that caches answers hands out the same opaque token with the
	// same expires_in each time; its end does not move.
	inWorld(t, func(t *testing.T, w *world) {
		w.server.set(func(s *server) { s.opaque, s.same = true, true })
		w.mustToken("")
		for range 10 {
			time.Sleep(time.Minute)
			if _, err := w.fresh(); err != nil {
				t.Fatal(err)
			}
		}
		reply, err := w.Token(t.Context(), ipc.TokenRequest{})
		if err != nil || reply.ExpiresIn > 1200 {
			t.Errorf("expires_in is %d, %v", reply.ExpiresIn, err)
		}
		// One that is still handed out when it must be dead has been extended.
		w.server.set(func(s *server) { s.ends["token-1"] += time.Hour })
		time.Sleep(20 * time.Minute)
		if tok, err := w.token(""); tok != "token-1" {
			t.Errorf("%q, %v", tok, err)
		}
	})
}

// With nothing due, Run sleeps until its next look, and cache hits don't
// wake it: count what it asks the clock.
func TestRunDoesNotSpin(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.mustToken("")
		time.Sleep(18 * time.Minute)
		looks := func(f func()) int {
			synctest.Wait()
			before := w.clock.readings()
			f()
			synctest.Wait()
			return w.clock.readings() - before
		}
		if n := looks(func() { time.Sleep(time.Hour) }); n > 200 {
			t.Errorf("the clock was read %d times in an idle hour", n)
		}
		w.mustToken("")
		synctest.Wait()
		const hits = 1000
		if n := looks(func() {
			for range hits {
				w.mustToken("")
				synctest.Wait() // Run would look now, were it roused
			}
		}); n > hits+5 {
			t.Errorf("the clock was read %d times for %d hits", n, hits)
		}
		// Nor in the last seconds before a renewal, nor while it is refused.
		w.server.set(func(s *server) { s.fail = denied })
		time.Sleep(20*time.Minute - 31*time.Second)
		for range 70 {
			if n := looks(func() {
				for range 20 {
					w.mustToken("")
					synctest.Wait()
				}
				time.Sleep(time.Second)
			}); n > 40 {
				t.Fatalf("the clock was read %d times in a second with 20 hits", n)
			}
		}
	})
}
