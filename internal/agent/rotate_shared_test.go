package agent_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
)

// unsave makes the server replace the secret while the store is full, and then
// gives the store room again.
func (w *world) unsave() {
	w.t.Helper()
	w.file.set(func(s *store) { s.putErr = errFull })
	if _, err := w.fresh(); err == nil {
		w.t.Fatal("a token was handed out whose secret was not stored")
	}
	w.file.set(func(s *store) { s.putErr = nil })
}

func TestP10ARenameTakesASecretInMemoryAlong(t *testing.T) {
	inRotation(t, func(t *testing.T, w *world) {
		w.unsave()
		if err := w.Rename(t.Context(), "prod", "main", false); err != nil {
			t.Fatal(err)
		}
		if _, err := w.ask(ipc.TokenRequest{Profile: "main", Fresh: true}); err != nil {
			t.Error(err)
		}
	})
}

func TestP10ARefusedLoginDoesNotLoseASecretInMemory(t *testing.T) {
	inRotation(t, func(t *testing.T, w *world) {
		w.unsave()
		w.mustFail(w.loginRotating("no good"), ipc.CodeRefused)
		w.restart()
		if _, err := w.fresh(); err != nil {
			t.Error(err)
		}
	})
}

// Somebody logs in anew through another agent before the secret in memory can
// be stored: it must not come back.
func TestP10ALateSaveUndoesNoLogin(t *testing.T) {
	inRotation(t, func(t *testing.T, w *world) {
		w.unsave()
		c := w.stored()
		c.Secret, c.Previous = secret.New("granted"), secret.Text{}
		if err := w.file.Put(t.Context(), "prod", c, provider.NoPrompt); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		if got := w.stored().Secret.Reveal(); got != "granted" {
			t.Errorf("stored %q", got)
		}
	})
}

// A logout that can't reach the store still takes the tokens out of the cache,
// and one that can needs no room for the secret that it forgets.
func TestLogoutWithASecretInMemory(t *testing.T) {
	inRotation(t, func(t *testing.T, w *world) {
		w.unsave()
		w.file.set(func(s *store) { s.putErr, s.delErr = errFull, errFull })
		if err := w.Logout(t.Context(), "prod", false); err == nil {
			t.Fatal("no error")
		}
		if tok, err := w.token(""); err == nil {
			t.Errorf("%q is still served", tok)
		}
		w.file.set(func(s *store) { s.delErr = nil })
		if err := w.Logout(t.Context(), "prod", false); err != nil {
			t.Fatal(err)
		}
		w.file.set(func(s *store) { s.putErr = nil })
		time.Sleep(5 * time.Minute)
		if got := w.file.secret("prod"); got != "" {
			t.Errorf("the secret came back: %q", got)
		}
	})
}

// A server that was never reached can't have replaced anything.
func TestP10ARequestThatWasNeverSentIsNotCalledLost(t *testing.T) {
	inRotation(t, func(t *testing.T, w *world) {
		w.server.set(func(s *server) {
			s.fail = &provider.Error{Class: provider.Transient, NotSent: true, Message: "connection refused"}
		})
		_, err := w.fresh()
		w.mustFail(err, ipc.CodeUnreachable)
		w.server.set(func(s *server) { s.fail = nil })
		w.rotator.alter(func(r *rotator) { r.valid = "revoked by somebody" })
		time.Sleep(time.Minute)
		_, err = w.fresh()
		if e := w.mustFail(err, ipc.CodeRefused); strings.Contains(e.Message, "lost") {
			t.Errorf("got %q", e.Message)
		}
	})
}

// A refusal that one agent remembers ends when another one finds the secret to
// be good.
func TestARefusalThatAnotherAgentTookBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := newWorld(t)
		defer func() { one.stop() }()
		one.login("prod")
		two := &world{t: t, clock: one.clock, server: one.server, store: one.store, file: one.file, state: one.state}
		two.start()
		defer func() { two.stop() }()
		one.server.set(func(s *server) { s.fail = permanent })
		_, err := two.token("")
		two.mustFail(err, ipc.CodeRefused)
		one.server.set(func(s *server) { s.fail = nil })
		time.Sleep(2 * time.Minute)
		if _, err := one.fresh(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if _, err := two.token(""); err != nil {
			t.Error(err)
		}
	})
}
