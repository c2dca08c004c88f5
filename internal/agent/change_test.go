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

// A logout or removal does not wait for a server that hangs, and neither do
// those who waited for it.
func TestLogoutDoesNotWaitForTheServer(t *testing.T) {
	for _, name := range []string{"logout", "remove"} {
		inWorld(t, func(t *testing.T, w *world) {
			w.server.set(func(s *server) { s.hang = true })
			var wg sync.WaitGroup
			for i := range 4 {
				wg.Go(func() {
					if _, err := w.scoped(fmt.Sprint(i % 2)); code(err) != changes[name].code {
						t.Errorf("%s: %v", name, err)
					}
				})
			}
			synctest.Wait()
			w.atOnce(func() {
				if err := changes[name].do(t.Context(), w); err != nil {
					t.Error(err)
				}
				wg.Wait()
			})
		})
	}
}

func TestLogoutForgetsTheSecret(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.mustToken("")
		if err := w.Logout(t.Context(), "", false); err != nil {
			t.Fatal(err)
		}
		if w.store.secret("prod") != "" {
			t.Error("the secret is still there")
		}
		if s := w.status("prod"); s.State != ipc.StateLoggedOut || !s.LoggedOut || s.AccessToken != nil || s.Exchanges != 1 {
			t.Errorf("%+v", s)
		}
		for range 2 { // again is fine
			if err := w.Logout(t.Context(), "prod", false); err != nil {
				t.Error(err)
			}
		}
		w.restart()
		_, err := w.token("")
		w.mustFail(err, ipc.CodeNotLoggedIn)
		if _, err := w.Login(t.Context(), "prod", as("new")); err != nil { // the settings are still there
			t.Fatal(err)
		}
		w.mustToken("")
	})
}

// A secret that somebody else has removed already is no reason to fail.
func TestLogoutOfASecretThatIsGone(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.store.set(func(s *store) { delete(s.items, "prod") })
		if err := w.Logout(t.Context(), "prod", false); err != nil {
			t.Error(err)
		}
		if err := w.Remove(t.Context(), "prod", false); err != nil {
			t.Error(err)
		}
	})
}

// If the secret can't be removed, the logout fails, yet no token is left in
// the cache; and the profile goes on working.
func TestLogoutWithTheStoreLocked(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tok := w.mustToken("")
		w.store.set(func(s *store) { s.delErr = locked })
		w.mustFail(w.Logout(t.Context(), "prod", false), ipc.CodeStoreLocked)
		if got := w.mustToken(""); got == tok {
			t.Error("the old token is still served")
		}
		w.mustCount(2)
		w.store.set(func(s *store) { s.delErr = nil })
		if err := w.Logout(t.Context(), "prod", false); err != nil {
			t.Error(err)
		}
	})
}
