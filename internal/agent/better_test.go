package agent_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
)

// A caller who wants a younger token gets one, once a minute at most, and the
// older one where there is no other.
func TestYoungerTokenWhereItCanBeHad(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		young := func() string {
			t.Helper()
			tok, err := w.ask(ipc.TokenRequest{MaxAge: "1s"}) // counts as a minute
			if err != nil {
				t.Fatal(err)
			}
			return tok
		}
		w.mustToken("")
		time.Sleep(59 * time.Second)
		if tok := young(); tok != "token-1" {
			t.Errorf("within a minute: %s", tok)
		}
		time.Sleep(2 * time.Second)
		if tok := young(); tok != "token-2" {
			t.Errorf("after a minute: %s", tok)
		}
		w.mustCount(2)

		w.failWith(down)
		time.Sleep(2 * time.Minute)
		start := time.Now()
		if tok := young(); tok != "token-2" || time.Since(start) > 6*time.Second {
			t.Errorf("the server is down: %s after %s", tok, time.Since(start))
		}
	})
}

// P4: nobody waits long for a better token while there is a good one.
func TestP4BetterTokenIsNotWaitedForLong(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.mustToken("")
		time.Sleep(16 * time.Minute) // less than half of its life is left
		gate := make(chan struct{})
		w.server.set(func(s *server) { s.gate = gate })
		start := time.Now()
		tok, err := w.ask(ipc.TokenRequest{HalfLife: true})
		if waited := time.Since(start); tok != "token-1" || err != nil || waited > 6*time.Second {
			t.Errorf("%q, %v after %s", tok, err, waited)
		}
		close(gate)
		synctest.Wait()
		if tok, err := w.ask(ipc.TokenRequest{HalfLife: true}); tok != "token-2" || err != nil {
			t.Errorf("%q, %v", tok, err)
		}
	})
}

// P2: who keeps a token has half of its life left, at every second of its life.
func TestP2HalfOfTheLifeIsLeft(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for range 60 * 60 {
			got, err := w.Token(t.Context(), ipc.TokenRequest{HalfLife: true})
			if err != nil || got.ExpiresIn < 15*60-1 {
				t.Fatalf("%d s left, %v", got.ExpiresIn, err)
			}
			time.Sleep(time.Second)
		}
		if n := w.server.count(); n > 6 {
			t.Errorf("%d exchanges in an hour", n)
		}
	})
}

// A caller that names itself and asks again before its token expires has had it
// refused. Others are not held responsible for that.
func TestCallerThatAsksAgainGetsAYoungerToken(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		as := func(caller string) string {
			t.Helper()
			tok, err := w.ask(ipc.TokenRequest{Caller: caller})
			if err != nil {
				t.Fatal(err)
			}
			return tok
		}
		as("100:1")
		time.Sleep(2 * time.Minute)
		if tok := as("200:2"); tok != "token-1" {
			t.Errorf("another caller: %s", tok)
		}
		if tok := as("100:1"); tok != "token-2" {
			t.Errorf("the same caller: %s", tok)
		}
		if tok := as("100:1"); tok != "token-2" {
			t.Errorf("within a minute: %s", tok)
		}
		time.Sleep(31 * time.Minute)
		tok := w.mustToken("")
		time.Sleep(2 * time.Minute)
		if again := as("100:1"); again != tok {
			t.Errorf("after its token had expired: %s, not %s", again, tok)
		}

		// From the second on that it was told as the end, it asks without a refusal.
		got, err := w.Token(t.Context(), ipc.TokenRequest{Profile: "prod", Caller: "300:3"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Until(got.ExpiresAt) - 2*time.Minute)
		tok = w.mustToken("")
		time.Sleep(time.Until(got.ExpiresAt))
		if again := as("300:3"); again != tok {
			t.Errorf("at the end of its token: %s, not %s", again, tok)
		}
		time.Sleep(time.Second)
		if as("300:3") == tok {
			t.Error("it asks before the end of that one, and gets it again")
		}
		for i := range 1000 {
			as(string(rune('!'+i%90)) + string(rune('!'+i/90)))
		}
		if _, err := w.ask(ipc.TokenRequest{Caller: "a b"}); code(err) != ipc.CodeBadRequest {
			t.Errorf("a caller with a space: %v", err)
		}
	})
}
