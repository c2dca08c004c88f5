package agent_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
)

func (w *world) scoped(scope ...string) (string, error) {
	return w.ask(ipc.TokenRequest{Scope: scope})
}

func TestTokensOfDifferentScopesAreKeptApart(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		reqs := []ipc.TokenRequest{
			{}, {Scope: []string{"a"}}, {Scope: []string{"b"}}, {Scope: []string{"a", "b"}},
			{ResourceScope: "{}"}, {Scope: []string{"a"}, ResourceScope: "{}"},
		}
		got := map[string]int{}
		for round := range 3 {
			for i, req := range reqs {
				tok, err := w.ask(req)
				if err != nil {
					t.Fatal(err)
				}
				if other, ok := got[tok]; ok && (round == 0 || other != i) {
					t.Errorf("request %d got the token of request %d", i, other)
				}
				got[tok] = i
			}
		}
		w.mustCount(len(reqs))
		for i, c := range w.server.calls() {
			if fmt.Sprint(c.req.Scope, c.req.ResourceScope) != fmt.Sprint(reqs[i].Scope, reqs[i].ResourceScope) {
				t.Errorf("request %d went upstream as %v", i, c.req)
			}
		}
	})
}

// A profile's own scope is what a request without one means.
func TestScopeOfTheProfile(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		if _, err := w.Login(t.Context(), "prod", ipc.LoginRequest{Secret: secret.NewWire("x"), NoVerify: true,
			Scope: []string{"ro"}, ResourceScope: "{}"}); err != nil {
			t.Fatal(err)
		}
		first := w.mustToken("")
		if tok, err := w.scoped("ro"); tok != first {
			t.Errorf("%q, %v", tok, err)
		}
		w.mustCount(1)
		if c := w.server.calls()[0]; fmt.Sprint(c.req.Scope) != "[ro]" || c.req.ResourceScope != "{}" {
			t.Errorf("asked for %v", c.req)
		}
		// Its refusal is the profile's.
		w.failWith(denied)
		_, err := w.fresh()
		w.mustFail(err, ipc.CodeRefusedForNow)
		_, err = w.scoped("other")
		w.mustFail(err, ipc.CodeRefusedForNow)
		w.mustCount(2)
	})
}

// A scope that the server grants does not shorten the pause after it refused
// the profile's own exchange.
func TestP6SuccessOfAScopeDoesNotForgetTheProfilesRefusal(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.server.set(func(s *server) {
			s.judge = func(_ int, r provider.Request) error {
				if r.Plain() {
					return denied
				}
				return nil
			}
		})
		if _, err := w.scoped("a"); err != nil {
			t.Fatal(err)
		}
		_, err := w.token("")
		w.mustFail(err, ipc.CodeRefusedForNow)
		n := 0
		for range 120 {
			time.Sleep(time.Minute)
			_, _ = w.scoped("a")
			_, err := w.token("")
			w.mustFail(err, ipc.CodeRefusedForNow)
		}
		for _, c := range w.server.calls() {
			if c.req.Plain() {
				n++
			}
		}
		if n > 9 {
			t.Errorf("the refused exchange was tried %d times in two hours", n)
		}
	})
}

func TestSixtyFourScopesAreCached(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		scope := func(i int) string { return fmt.Sprint("s", i) }
		for i := range 64 {
			_, _ = w.scoped(scope(i))
			time.Sleep(time.Second)
		}
		for i := range 64 {
			_, _ = w.scoped(scope(i))
			time.Sleep(time.Second)
		}
		w.mustCount(64)
		// One more takes the place of the one asked for least recently.
		_, _ = w.scoped("one more")
		for i := 1; i < 64; i++ {
			_, _ = w.scoped(scope(i))
		}
		w.mustCount(65)
		_, _ = w.scoped(scope(0))
		w.mustCount(66)
	})
}

func TestMoreScopesAtOnceThanAreCached(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		gate := make(chan struct{})
		w.server.set(func(s *server) { s.gate = gate })
		var wg sync.WaitGroup
		var mu sync.Mutex
		codes := map[ipc.Code]int{}
		for i := range 100 {
			wg.Go(func() {
				_, err := w.scoped(fmt.Sprint("s", i))
				mu.Lock()
				codes[code(err)]++
				mu.Unlock()
			})
		}
		synctest.Wait()
		close(gate)
		wg.Wait()
		if codes[""] != 64 || codes[ipc.CodeBusy] != 36 {
			t.Errorf("%v", codes)
		}
		if w.mustToken("") == "" { // and there is room again
			t.Error("no token")
		}
	})
}

// Scopes in use are renewed ahead, each by itself, one after the other.
func TestP4ScopesAreRenewedAhead(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.server.set(func(s *server) { s.delay = time.Second })
		const scopes = 20
		for i := range scopes {
			_, _ = w.scoped(fmt.Sprint("s", i))
		}
		for range 120 {
			for i := range scopes {
				w.atOnce(func() {
					if _, err := w.scoped(fmt.Sprint("s", i)); err != nil {
						t.Fatal(err)
					}
				})
			}
			time.Sleep(30 * time.Second)
		}
		if n := w.server.count(); n > 4*scopes || w.server.atOnce() != 1 {
			t.Errorf("%d exchanges, %d at once", n, w.server.atOnce())
		}
	})
}
