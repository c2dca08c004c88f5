package agent_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
)

// changes are what can happen to a profile while its secret is exchanged, and
// what callers who wait for that are told; empty for a token of the new secret.
var changes = map[string]struct {
	do   func(context.Context, *world) error
	code ipc.Code
}{
	"login": {func(ctx context.Context, w *world) error {
		req := as("new")
		req.NoVerify = true
		_, err := w.Login(ctx, "prod", req)
		return err
	}, ""},
	"login to another store": {func(ctx context.Context, w *world) error {
		req := as("new")
		req.NoVerify, req.Store = true, provider.File
		_, err := w.Login(ctx, "prod", req)
		return err
	}, ""},
	"logout": {func(ctx context.Context, w *world) error { return w.Logout(ctx, "prod", false) }, ipc.CodeNotLoggedIn},
	"remove": {func(ctx context.Context, w *world) error { return w.Remove(ctx, "prod", false) }, ipc.CodeNoSuchProfile},
	"rename": {func(ctx context.Context, w *world) error { return w.Rename(ctx, "prod", "live", false) }, ipc.CodeNoSuchProfile},
}

// Who waits gets a token, or is told why not; who asks after the change gets
// none of the old secret.
func TestChangeWhileAnExchangeIsUnderWay(t *testing.T) {
	for name, c := range changes {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				gate := make(chan struct{})
				w.server.set(func(s *server) { s.gate = gate })
				var wg sync.WaitGroup
				for i := range 5 {
					wg.Go(func() {
						// An answer that came before the change is right, too.
						_, err := w.ask(ipc.TokenRequest{Scope: []string{fmt.Sprint(i % 2)}, Fresh: i > 2})
						if err != nil && code(err) != c.code {
							t.Errorf("caller %d: %v", i, err)
						}
					})
				}
				synctest.Wait()
				var err error
				wg.Go(func() { err = c.do(t.Context(), w) })
				synctest.Wait()
				wg.Go(func() { _, _ = w.ask(ipc.TokenRequest{Scope: []string{"late"}}) })
				synctest.Wait()
				close(gate)
				wg.Wait()
				if err != nil {
					t.Fatal(err)
				}
				tok, err := w.token("")
				if code(err) != c.code || err == nil && w.server.secretOf(tok) != "new" {
					t.Errorf("a token of %q, %v", w.server.secretOf(tok), err)
				}
				if w.server.atOnce() != 1 {
					t.Errorf("%d exchanges at once", w.server.atOnce())
				}
			})
		})
	}
}

// The cached token goes with its secret, at once.
func TestChangeEmptiesTheCache(t *testing.T) {
	for name, c := range changes {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				for _, scope := range []string{"", "a"} {
					_, _ = w.ask(ipc.TokenRequest{Scope: []string{scope}})
				}
				if err := c.do(t.Context(), w); err != nil {
					t.Fatal(err)
				}
				for _, scope := range []string{"", "a"} {
					tok, err := w.ask(ipc.TokenRequest{Scope: []string{scope}})
					if code(err) != c.code || err == nil && w.server.secretOf(tok) != "new" {
						t.Errorf("a token of %q, %v", w.server.secretOf(tok), err)
					}
				}
			})
		})
	}
}

// Nor does a caller get the old token who had looked the profile up before the
// change, and comes to the cache after it.
func TestChangeOvertakesACaller(t *testing.T) {
	for name, c := range changes {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.mustToken("")
				synctest.Wait()
				release := w.clock.hold()
				done := make(chan struct{})
				go func() {
					defer close(done)
					tok, err := w.token("")
					if code(err) != c.code || err == nil && w.server.secretOf(tok) != "new" {
						t.Errorf("a token of %q, %v", w.server.secretOf(tok), err)
					}
				}()
				synctest.Wait()
				if err := c.do(t.Context(), w); err != nil {
					t.Fatal(err)
				}
				release()
				<-done
			})
		})
	}
}

// A caller who waited through a login makes the new secret's exchange like any
// other: its refusal is remembered.
func TestP6RefusalOfANewSecretIsRemembered(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		gate := make(chan struct{})
		w.server.set(func(s *server) { s.gate = gate })
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = w.scoped("a") })
		synctest.Wait()
		wg.Go(func() {
			if err := changes["login"].do(t.Context(), w); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			_, err := w.scoped("b")
			w.mustFail(err, ipc.CodeRefused)
		})
		synctest.Wait()
		w.failWith(permanent)
		close(gate)
		wg.Wait()
		for range 3 {
			_, err := w.token("")
			w.mustFail(err, ipc.CodeRefused)
		}
		w.mustCount(2)
	})
}

// With callers, renewals and changes all at once, a token of a secret is never
// served once the login that replaced it has returned.
func TestChangesInAStorm(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.server.set(func(s *server) { s.life, s.delay = 20*time.Second, 300*time.Millisecond })
		var mu sync.Mutex
		current := 0 // the last login that has returned
		secretNo := func(tok string) (n int) {
			_, _ = fmt.Sscanf(w.server.secretOf(tok), "secret %d", &n)
			return n
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		served := 0
		for i := range 20 {
			wg.Go(func() {
				for ctx.Err() == nil {
					mu.Lock()
					least := current
					mu.Unlock()
					tok, err := w.ask(ipc.TokenRequest{Fresh: i == 0, Scope: []string{fmt.Sprint(i % 3)}})
					n := secretNo(tok)
					mu.Lock()
					if err == nil {
						served++
					}
					if err == nil && n < least {
						t.Errorf("a token of secret %d after login %d", n, least)
					}
					mu.Unlock()
					time.Sleep(time.Duration(i*7+1) * time.Millisecond)
				}
			})
		}
		for n := 1; n <= 100; n++ {
			req := as(fmt.Sprint("secret ", n))
			req.NoVerify = n%3 != 0
			if n%7 == 0 {
				req.Store = []string{provider.Memory, provider.File}[n%2]
			}
			if n%10 == 0 {
				if err := w.Logout(t.Context(), "prod", false); err != nil {
					t.Error(err)
				}
			}
			if _, err := w.Login(t.Context(), "prod", req); err != nil {
				t.Fatal(err)
			}
			mu.Lock()
			current = n
			mu.Unlock()
			time.Sleep(777 * time.Millisecond)
		}
		cancel()
		wg.Wait()
		if served < 1000 {
			t.Errorf("%d tokens served", served)
		}
	})
}
