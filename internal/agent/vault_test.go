package agent_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
)

// scryptTime is how long a passphrase is worked on.
const scryptTime = 500 * time.Millisecond

func verifier(passphrase secret.Text) (func(secret.Text) bool, error) {
	time.Sleep(scryptTime)
	return func(other secret.Text) bool {
		time.Sleep(scryptTime)
		return other.Equal(passphrase)
	}, nil
}

// vault is a store that a passphrase opens. It works as *store does while it
// is open; needs is false where the key comes from elsewhere.
type vault struct {
	*store
	needs      bool
	passphrase string // empty: none was chosen
	shut       bool
	tried      int
}

var vaultLocked = &provider.StoreError{State: provider.StoreState{Kind: provider.File, Status: provider.StoreLocked, Detail: "the file store is locked"}}

func (v *vault) closed() bool { return get2(v, func() bool { return v.shut }) }
func (v *vault) tries() int   { return get2(v, func() int { return v.tried }) }
func get2[T any](v *vault, f func() T) T {
	v.mu.Lock()
	defer v.mu.Unlock()
	return f()
}

func (v *vault) Unlock(_ context.Context, passphrase secret.Text) error {
	if needs, _ := v.NeedsPassphrase(); needs {
		time.Sleep(scryptTime)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.tried++
	switch {
	case v.needs && v.passphrase == "":
		v.passphrase = passphrase.Reveal()
	case v.needs && v.passphrase != passphrase.Reveal():
		return &provider.StoreError{State: vaultLocked.State, Err: provider.ErrWrongPassphrase}
	}
	v.shut = false
	return nil
}

func (v *vault) Lock() { v.mu.Lock(); defer v.mu.Unlock(); v.shut = true }

func (v *vault) NeedsPassphrase() (needs, set bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.needs, v.passphrase != ""
}

func (v *vault) Get(ctx context.Context, profile string, p provider.Prompt) (provider.Credential, error) {
	if v.closed() {
		return provider.Credential{}, vaultLocked
	}
	return v.store.Get(ctx, profile, p)
}

func (v *vault) Put(ctx context.Context, profile string, c provider.Credential, p provider.Prompt) error {
	if v.closed() {
		return vaultLocked
	}
	return v.store.Put(ctx, profile, c, p)
}

func (v *vault) Delete(ctx context.Context, profile string, p provider.Prompt) error {
	if v.closed() {
		return vaultLocked
	}
	return v.store.Delete(ctx, profile, p)
}

func (v *vault) State(context.Context) provider.StoreState {
	if v.closed() {
		return vaultLocked.State
	}
	return provider.StoreState{Kind: provider.File, Status: provider.StoreReady}
}

// inVault is inWorld with a file store that a passphrase opens, open, and the
// profile kept in it besides prod, which is in memory.
func inVault(t *testing.T, passphrase string, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := newClock()
		w := &world{t: t, clock: c, server: newServer(c), store: newStore(), file: newStore(), state: &stateFile{}}
		w.vault = &vault{store: w.file, needs: true, passphrase: passphrase}
		w.start()
		defer func() { w.stop() }()
		w.login("prod")
		if passphrase != "" {
			if _, err := w.Login(t.Context(), "kept", ipc.LoginRequest{
				Secret: secret.NewWire("secret of kept"), Store: provider.File, NoVerify: true, Org: "org"}); err != nil {
				t.Fatal(err)
			}
		}
		f(t, w)
	})
}

// lock locks the agent; an empty passphrase is none.
func (w *world) lock(passphrase string) ipc.LockResult {
	w.t.Helper()
	r, err := w.Lock(context.Background(), secret.New(passphrase), ipc.LockAsked)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) unlock(passphrase string) error {
	return w.Unlock(context.Background(), secret.New(passphrase), false)
}

func (w *world) mustUnlock(passphrase string) {
	w.t.Helper()
	if err := w.unlock(passphrase); err != nil {
		w.t.Fatal(err)
	}
}

// isLocked checks that whatever gives out or touches a secret is refused at
// once, and that nobody is asked.
func (w *world) isLocked() {
	w.t.Helper()
	before, ctx := w.server.count(), context.Background()
	w.atOnce(func() {
		_, token := w.token("")
		_, fresh := w.fresh()
		_, scoped := w.scoped("other")
		_, proxy := w.ask(ipc.TokenRequest{Kind: ipc.KindProxy})
		_, login := w.Login(ctx, "new", as("x"))
		_, details := w.Details(ctx, "prod", true)
		_, inspect := w.Inspect(ctx, "prod", true)
		for i, err := range []error{token, fresh, scoped, proxy, login, details, inspect, w.Logout(ctx, "prod", true),
			w.Remove(ctx, "prod", true), w.Rename(ctx, "prod", "other", true)} {
			if e, ok := errors.AsType[*ipc.Error](err); !ok || e.Code != ipc.CodeLocked || e.Hint != "cspctl unlock" {
				w.t.Errorf("call %d: %v", i, err)
			}
		}
		if _, err := w.Expiry(ctx, nil); err != nil {
			w.t.Errorf("expiry: %v", err)
		}
		if list, err := w.Profiles(); err != nil || len(list.Profiles) == 0 {
			w.t.Errorf("profiles: %v", err)
		}
		if s := w.Status(ctx); !s.Locked || s.LockedSince == nil || w.status("prod").AccessToken != nil {
			w.t.Errorf("status: %+v", s)
		}
	})
	w.mustCount(before)
}
