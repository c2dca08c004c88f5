package agent_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
)

func (w *world) passcode(s string) (string, error) {
	return w.ask(ipc.TokenRequest{Passcode: secret.NewWire(s)})
}

func TestFreshReplacesTheCacheEvenIfShorter(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.mustToken("")
		w.server.set(func(s *server) { s.life = 8 * time.Minute })
		if tok, err := w.fresh(); tok != "token-2" {
			t.Fatalf("%q, %v", tok, err)
		}
		if tok := w.mustToken(""); tok != "token-2" {
			t.Errorf("the cache still has %q", tok)
		}
		// Also where nothing is known of the new one's life.
		w.server.set(func(s *server) { s.opaque, s.silent = true, true })
		if tok, err := w.fresh(); tok != "token-3" {
			t.Fatalf("%q, %v", tok, err)
		}
		if tok := w.mustToken(""); tok != "token-4" {
			t.Errorf("after a token that can't be cached: %q", tok)
		}
	})
}

func TestFreshNeverFallsBackToTheOldToken(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		first := w.mustToken("")
		w.failWith(down)
		for range 5 {
			_, err := w.fresh()
			w.mustFail(err, ipc.CodeUnreachable)
			time.Sleep(time.Second)
		}
		if tok := w.mustToken(""); tok != first { // T9: others still have it
			t.Errorf("got %q", tok)
		}
	})
}

func TestFreshIsExemptFromTheMinimumInterval(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for range 10 {
			if _, err := w.fresh(); err != nil {
				t.Fatal(err)
			}
		}
		w.mustCount(10)
	})
}

// An exchange that began before a caller asked may have been answered before
// that caller's change took effect at the server.
func TestFreshCallersJoinOnlyWhatBeginsAfterThem(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.server.set(func(s *server) { s.delay = time.Second })
		var wg sync.WaitGroup
		ask := func(want string, f func() (string, error)) {
			wg.Go(func() {
				if tok, err := f(); tok != want {
					t.Errorf("got %q, %v, want %q", tok, err, want)
				}
			})
		}
		ask("token-1", func() (string, error) { return w.token("") })
		time.Sleep(500 * time.Millisecond)
		for range 100 {
			ask("token-2", w.fresh)
		}
		synctest.Wait()
		for range 100 { // others need not wait for the second
			ask("token-1", func() (string, error) { return w.token("") })
		}
		time.Sleep(600 * time.Millisecond) // the second is under way
		for range 100 {
			ask("token-3", w.fresh)
		}
		wg.Wait()
		w.mustCount(3)
	})
}

// Whoever joins a renewal that waits for its turn, and wants it fresh, gets it
// into the cache too.
func TestFreshCallerMakesAQueuedExchangeFresh(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.mustToken("")
		gate := make(chan struct{})
		w.server.set(func(s *server) { s.gate, s.life = gate, 7*time.Minute })
		go func() { _, _ = w.ask(ipc.TokenRequest{Scope: []string{"other"}}) }()
		synctest.Wait()
		time.Sleep(20 * time.Second)
		got := make(chan string, 1)
		go func() { tok, _ := w.fresh(); got <- tok }()
		synctest.Wait()
		close(gate)
		fresh := <-got
		if tok := w.mustToken(""); tok != fresh || tok == "token-1" {
			t.Errorf("got %q, the cache has %q", fresh, tok)
		}
	})
}

// A wrong passcode or scope is never held against the profile.
func TestP6WrongPasscodeOrScopeIsNotHeldAgainstTheProfile(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for name, req := range map[string]ipc.TokenRequest{
			"passcode":       {Passcode: secret.NewWire("000000")},
			"scope":          {Scope: []string{"nonsense"}},
			"resource scope": {ResourceScope: "{}"},
		} {
			for _, class := range []error{denied, down} {
				w.failWith(class)
				_, err := w.ask(req)
				if err == nil {
					t.Fatal(name)
				}
				w.failWith(nil)
				time.Sleep(time.Second)
				w.atOnce(func() {
					if tok, err := w.fresh(); err != nil {
						t.Errorf("after a wrong %s: %q, %v", name, tok, err)
					}
				})
			}
		}
		// Nor is a permanent refusal of a request with a passcode.
		w.failWith(permanent)
		_, err := w.passcode("000000")
		w.mustFail(err, ipc.CodeRefused)
		w.failWith(nil)
		w.mustToken("")
	})
}

func TestP6WrongScopeIsHeldAgainstThatScope(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.failWith(denied)
		n := w.impatient(10*time.Minute, ipc.TokenRequest{Scope: []string{"nonsense"}})
		if n > 5 {
			t.Errorf("%d exchanges in ten minutes", n)
		}
	})
}

// second is a server that wants a passcode with each exchange.
func second(n int, r provider.Request) error {
	switch r.Passcode.Reveal() {
	case "":
		return needsCode
	case "111111":
		return nil
	}
	return denied
}

func TestPasscodeProfile(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.server.set(func(s *server) { s.judge = second })
		for range 10 {
			_, err := w.token("")
			if e := w.mustFail(err, ipc.CodePasscodeNeeded); e.Hint != "cspctl token prod --passcode NNNNNN" {
				t.Fatalf("hint: %s", e.Hint)
			}
		}
		w.mustCount(1)
		if s := w.status("prod").State; s != ipc.StatePasscode {
			t.Errorf("state is %s", s)
		}
		// Each passcode goes upstream, once; a wrong one changes nothing.
		_, err := w.passcode("000000")
		w.mustFail(err, ipc.CodeRefusedForNow)
		_, err = w.passcode("000000")
		w.mustFail(err, ipc.CodeRefusedForNow)
		w.mustCount(3)
		tok, err := w.passcode("111111")
		if tok != "token-4" || err != nil {
			t.Fatalf("%q, %v", tok, err)
		}
		if s := w.status("prod"); s.State != ipc.StateReady || s.LastError != nil {
			t.Errorf("state is %s, %v", s.State, s.LastError)
		}
		// Its token serves everybody, and is not renewed ahead, which would fail.
		for w.server.leftAtServer(tok) > 302*time.Second {
			w.atOnce(func() {
				if got := w.mustToken(""); got != tok {
					t.Fatalf("got %q", got)
				}
			})
			time.Sleep(time.Second)
		}
		w.mustCount(4)
		// Success cleared the memory: at the end one plain exchange is tried.
		time.Sleep(time.Minute)
		for range 10 {
			_, err = w.token("")
			w.mustFail(err, ipc.CodePasscodeNeeded)
		}
		w.mustCount(5)
		w.restart()
		_, err = w.token("")
		w.mustFail(err, ipc.CodePasscodeNeeded)
		w.mustCount(5)
	})
}

// Trouble between passcodes does not bring renewal ahead back.
func TestPasscodeProfileIsNotRenewedAfterTrouble(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.server.set(func(s *server) { s.judge = second })
		if _, err := w.passcode("111111"); err != nil {
			t.Fatal(err)
		}
		w.server.set(func(s *server) { s.judge, s.fail = nil, down })
		_, _ = w.fresh()
		n := w.server.count()
		for range 24 * 60 {
			w.mustToken("")
			time.Sleep(time.Second)
		}
		w.mustCount(n)
	})
}

func TestPasscodeProfileWhoseAPITokenDies(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.failWith(needsCode)
		_, _ = w.token("")
		time.Sleep(2 * time.Minute)
		w.failWith(permanent)
		_, err := w.fresh()
		w.mustFail(err, ipc.CodeRefused)
		if s := w.status("prod"); s.State != ipc.StateRefused {
			t.Errorf("state is %s", s.State)
		}
	})
}

// Where passcodes are no longer asked for, the first plain success brings
// renewal ahead back; and a passcode given for nothing costs no more than one
// token's renewal.
func TestPlainSuccessEndsThePasscodes(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		if _, err := w.passcode("111111"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(25 * time.Minute)
		w.mustToken("")
		time.Sleep(18 * time.Minute)
		w.mustToken("")
		time.Sleep(4 * time.Minute)
		w.mustCount(3)
	})
}

func TestPasscodesAreNotShared(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.server.set(func(s *server) { s.judge, s.delay = second, time.Second })
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if _, err := w.passcode("111111"); err != nil {
					t.Error(err)
				}
			})
			wg.Go(func() {
				if _, err := w.passcode("000000"); code(err) != ipc.CodeRefusedForNow {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		w.mustCount(10)
		if w.server.atOnce() != 1 {
			t.Errorf("%d at once", w.server.atOnce())
		}
		w.failWith(down) // nor tried twice: it would be used up
		w.server.set(func(s *server) { s.judge = nil })
		_, err := w.passcode("111111")
		w.mustFail(err, ipc.CodeUnreachable)
		w.mustCount(11)
	})
}
