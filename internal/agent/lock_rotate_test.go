package agent_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
)

// inRotatingVault is inRotation with a file store that a passphrase opens.
func inRotatingVault(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	inRotation(t, func(t *testing.T, w *world) {
		w.stop()
		w.vault = &vault{store: w.file, needs: true, passphrase: "store"}
		w.start()
		f(t, w)
	})
}

// A lock while the server replaces the token: the caller is turned away at
// once, the new secret is stored, and only then does the store close.
func TestP10T13ALockDuringARotation(t *testing.T) {
	for name, took := range map[string]time.Duration{"short": time.Second, "longer than a lock waits": 20 * time.Second} {
		t.Run(name, func(t *testing.T) {
			inRotatingVault(t, func(t *testing.T, w *world) {
				gate := make(chan struct{})
				w.server.set(func(s *server) { s.gate = gate })
				asked := make(chan error, 1)
				go func() { _, err := w.token(""); asked <- err }()
				synctest.Wait()
				time.AfterFunc(took, func() { w.server.set(func(s *server) { s.gate = nil }); close(gate) })
				began := time.Now()
				locked := make(chan struct{})
				go func() { w.lock(""); close(locked) }()
				w.atOnce(func() { w.mustFail(<-asked, ipc.CodeLocked); w.isLocked() })
				if w.vault.closed() {
					t.Error("the key is gone, and the new secret not stored")
				}
				<-locked
				if d := time.Since(began); d > 3*time.Second {
					t.Errorf("the lock took %v", d)
				}
				time.Sleep(took)
				if !w.vault.closed() {
					t.Error("the store is still open")
				}
				w.isLocked()
				w.mustUnlock("store")
				if got := w.stored().Secret.Reveal(); got != "secret-2" {
					t.Errorf("stored is %q", got)
				}
				w.mustToken("")
			})
		})
	}
}

// A new secret that can't be stored keeps the key until it is: without it, it
// would be lost with the agent.
func TestP10TheKeyIsKeptForASecretThatIsNotStored(t *testing.T) {
	inRotatingVault(t, func(t *testing.T, w *world) {
		w.file.set(func(s *store) { s.putErr = errFull })
		if _, err := w.fresh(); err == nil {
			t.Fatal("no error")
		}
		w.lock("")
		w.isLocked()
		time.Sleep(time.Minute)
		if w.vault.closed() {
			t.Error("the key is gone")
		}
		w.file.set(func(s *store) { s.putErr = nil })
		time.Sleep(time.Minute)
		if !w.vault.closed() {
			t.Error("the store is still open")
		}
		w.isLocked()
		w.mustUnlock("store")
		w.mustToken("")
	})
}

// A login whose first exchange replaced its secret stands, though a lock came.
func TestP10ALockDuringARotatingLogin(t *testing.T) {
	inRotatingVault(t, func(t *testing.T, w *world) {
		w.rotator.alter(func(r *rotator) { r.valid = "granted" })
		gate := make(chan struct{})
		w.server.set(func(s *server) { s.gate = gate })
		done := make(chan error, 1)
		go func() { done <- w.loginRotating("granted") }()
		synctest.Wait()
		go w.lock("")
		synctest.Wait()
		w.server.set(func(s *server) { s.gate = nil })
		close(gate)
		if err := <-done; err != nil {
			t.Errorf("the login: %v", err)
		}
		synctest.Wait()
		w.isLocked()
		if !w.vault.closed() {
			t.Error("the store is open")
		}
		w.mustUnlock("store")
		if got := w.stored().Secret.Reveal(); got != "secret-2" {
			t.Errorf("stored is %q", got)
		}
		w.mustToken("")
	})
}

// The same where the person at cspctl login went away: what the server gave in
// exchange for their token is the only one that counts.
func TestP10ARotatingLoginWhoseCallerIsGone(t *testing.T) {
	inRotatingVault(t, func(t *testing.T, w *world) {
		w.rotator.alter(func(r *rotator) { r.valid = "granted" })
		gate := make(chan struct{})
		w.server.set(func(s *server) { s.gate = gate })
		ctx, gone := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			_, _ = w.Login(ctx, "prod", ipc.LoginRequest{Secret: secret.NewWire("granted"), Store: provider.File, Org: "org"})
			close(done)
		}()
		synctest.Wait()
		gone()
		synctest.Wait()
		close(gate)
		<-done
		if got := w.stored().Secret.Reveal(); got != "secret-2" {
			t.Errorf("stored is %q", got)
		}
	})
}
