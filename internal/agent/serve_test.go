package agent_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
)

func TestP5ThousandCallersOneExchange(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.server.set(func(s *server) { s.delay = time.Second })
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				if tok, err := w.token(""); tok != "token-1" {
					t.Errorf("got %q, %v", tok, err)
				}
			})
		}
		wg.Wait()
		w.mustCount(1)
	})
}

func TestP5OneExchangeUnderWayWhateverTheScopes(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.server.set(func(s *server) { s.delay = time.Second })
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				if _, err := w.ask(ipc.TokenRequest{Scope: []string{fmt.Sprint("s", i%10)}, Fresh: i%20 == 0}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := w.server.atOnce(); n != 1 {
			t.Errorf("%d exchanges at once", n)
		}
		if n := w.server.count(); n < 10 || n > 20 {
			t.Errorf("%d exchanges for ten scopes", n)
		}
	})
}

// A good token is served while its renewal hangs, is slow, or fails: no time
// passes, and no bad token comes out, at any second of its life.
func TestP4T9GoodTokenIsServedWhateverTheServerDoes(t *testing.T) {
	for name, trouble := range map[string]func(*server){
		"hangs":         func(s *server) { s.hang = true },
		"slow":          func(s *server) { s.delay = 29 * time.Second },
		"fails":         func(s *server) { s.fail = down },
		"refuses":       func(s *server) { s.fail = denied },
		"wrong server":  func(s *server) { s.fail = &provider.Error{Class: provider.WrongServer, Message: "a redirect"} },
		"refuses ever":  func(s *server) { s.fail = permanent },
		"hands rubbish": func(s *server) { s.edit = func(t *provider.Token) { t.ExpiresAt = epoch.Add(-time.Hour) } },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				first := w.mustToken("")
				w.server.set(trouble)
				if name == "slow" {
					w.server.set(func(s *server) { s.life = time.Second }) // its answer is never better
				}
				for w.server.leftAtServer(first) > 5*time.Minute+3*time.Second {
					w.atOnce(func() {
						for range 5 {
							if tok := w.mustToken(""); tok != first {
								t.Fatalf("got %q", tok)
							}
						}
					})
					time.Sleep(time.Second)
				}
				w.atOnce(func() {
					for range 1000 {
						w.mustToken("")
					}
				})
				// A caller who asks for less is served to the end.
				for left := w.server.leftAtServer(first); left > 12*time.Second; left = w.server.leftAtServer(first) {
					w.atOnce(func() { w.mustToken("10s") })
					time.Sleep(time.Second)
				}
				time.Sleep(4 * time.Second)
				if tok, err := w.token("10s"); tok == first {
					t.Errorf("the token has less than 10 s left, and was handed out: %v", err)
				}
			})
		})
	}
}

func TestP4CachedRequestsReadNoKeychain(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.mustToken("")
		before := w.store.reads
		for range 1000 {
			w.mustToken("")
		}
		if n := w.store.reads - before; n != 0 {
			t.Errorf("%d reads", n)
		}
	})
}

func TestP4StoreIsLocked(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.mustToken("")
		w.store.set(func(s *store) { s.fail = locked })
		for range 20 * 60 { // into its renewal
			w.atOnce(func() { w.mustToken("") })
			time.Sleep(time.Second)
		}
		time.Sleep(9 * time.Minute)
		_, err := w.token("")
		w.mustFail(err, ipc.CodeStoreLocked)
		w.mustCount(1)

		// Unlocked, it works at the very next call.
		w.store.set(func(s *store) { s.fail = nil })
		w.atOnce(func() { w.mustToken("") })
	})
}

// Only a call with a person behind it may make the keychain ask; such a call
// gets its dialog even if it came while another's was under way.
func TestP4OnlyAPersonIsAskedToUnlock(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.store.set(func(s *store) { s.fail = locked })
		_, err := w.token("")
		w.mustFail(err, ipc.CodeStoreLocked)
		if w.store.prompt != 0 {
			t.Error("nobody was there to answer a dialog")
		}
		if _, err := w.ask(ipc.TokenRequest{Interactive: true}); err != nil || w.store.prompt != 1 {
			t.Errorf("%v; %d dialogs", err, w.store.prompt)
		}
	})
}

func TestP4APersonIsAskedEvenIfOthersWereFirst(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.store.set(func(s *store) { s.hang["prod"] = true }) // for half a minute, then it says locked
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := w.token("")
			w.mustFail(err, ipc.CodeStoreLocked)
		})
		synctest.Wait()
		wg.Go(func() {
			if _, err := w.ask(ipc.TokenRequest{Interactive: true}); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		w.store.set(func(s *store) { s.hang["prod"], s.fail = false, locked })
		wg.Wait()
	})
}

func TestProfilesNeverWaitForEachOther(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("hung")
		w.login("locked")
		w.store.set(func(s *store) { s.hang["locked"] = true })
		w.server.set(func(s *server) { s.hang = true })
		for _, p := range []string{"hung", "locked"} {
			go func() { _, _ = w.ask(ipc.TokenRequest{Profile: p}) }()
		}
		synctest.Wait()
		w.server.set(func(s *server) { s.hang = false })
		w.atOnce(func() {
			w.mustToken("")
			w.login("another")
			if err := w.Rename(t.Context(), "another", "other", false); err != nil {
				t.Error(err)
			}
			if err := w.Remove(t.Context(), "other", false); err != nil {
				t.Error(err)
			}
			w.Status(t.Context())
		})
		// A change that waits keeps no other profile's waiting.
		go func() { _ = w.Rename(t.Context(), "locked", "prod2", false) }()
		synctest.Wait()
		w.login("third")
		w.atOnce(func() {
			if err := w.Rename(t.Context(), "third", "fourth", false); err != nil {
				t.Error(err)
			}
		})
	})
}

func TestACallerThatGivesUpFailsNobody(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.server.set(func(s *server) { s.delay = 5 * time.Second })
		ctx, cancel := context.WithCancel(t.Context())
		first := make(chan error, 1)
		go func() {
			_, err := w.Token(ctx, ipc.TokenRequest{Profile: "prod"})
			first <- err
		}()
		synctest.Wait()
		second := make(chan string, 1)
		go func() { tok, _ := w.token(""); second <- tok }()
		synctest.Wait()
		cancel()
		w.mustFail(<-first, ipc.CodeUnreachable)
		if tok := <-second; tok != "token-1" {
			t.Errorf("the second got %q", tok)
		}
		w.mustCount(1)
	})
}

// However long the server and the store hang, a caller hears within a bound
// of the agent's own.
func TestNobodyWaitsForEver(t *testing.T) {
	for name, hang := range map[string]func(*world){
		"server": func(w *world) { w.server.set(func(s *server) { s.hang = true }) },
		"store":  func(w *world) { w.store.set(func(s *store) { s.hang["prod"] = true }) },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				hang(w)
				before := time.Now()
				if _, err := w.token(""); err == nil {
					t.Error("a token came from nowhere")
				}
				if d := time.Since(before); d > 31*time.Second {
					t.Errorf("it took %v", d)
				}
				// Callers with other scopes are told the same, not kept waiting in a row.
				before = time.Now()
				var wg sync.WaitGroup
				for i := range 10 {
					wg.Go(func() { _, _ = w.ask(ipc.TokenRequest{Scope: []string{fmt.Sprint(i)}}) })
				}
				wg.Wait()
				if d := time.Since(before); name == "server" && d > 35*time.Second {
					t.Errorf("ten scopes took %v", d)
				}
			})
		})
	}
}

func TestP1StateHoldsNoSecret(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.mustToken("")
		text := w.state.text()
		if !json.Valid([]byte(text)) || strings.Contains(text, "secret of prod") || strings.Contains(text, "token-1") {
			t.Error(text)
		}
	})
}
