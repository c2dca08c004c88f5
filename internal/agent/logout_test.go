package agent_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/cspctl/cspctl/internal/ipc"
)

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
