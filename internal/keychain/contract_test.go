package keychain_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"

	"github.com/cspctl/cspctl/internal/keychain"
	"github.com/cspctl/cspctl/internal/keychain/keychaintest"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
	"github.com/cspctl/cspctl/internal/sessionbus/bustest"
)

// credential makes one whose every field depends on n.
func credential(n int) provider.Credential {
	s := fmt.Sprint(n)
	return provider.Credential{
		Binding: provider.Binding{Provider: provider.CSP, Origin: "https://csp" + s + ".example.com", Org: "org" + s,
			ClientID: "client" + s, User: "user" + s, CASHA256: strings.Repeat(s[:1], 64)},
		Secret: fake(s),
	}
}

func fake(s string) secret.Text { return secret.New(strings.Repeat(s+"x", 20)) }

func same(a, b provider.Credential) bool {
	return a.Binding == b.Binding && a.Secret.Equal(b.Secret) && string(a.CA) == string(b.CA)
}

// stores makes every kind of store, empty and ready.
var stores = map[string]func(t *testing.T) keychain.Store{
	"memory": func(*testing.T) keychain.Store { return keychain.NewMemory() },
	"file with a key file": func(t *testing.T) keychain.Store {
		id, err := age.GenerateX25519Identity()
		if err != nil {
			t.Fatal(err)
		}
		return keychain.NewFile(keychain.FileOptions{Path: filepath.Join(t.TempDir(), "s", "store.age"), KeyFile: writeKey(t, id.String())})
	},
	"file with a passphrase": func(t *testing.T) keychain.Store {
		f := keychain.NewFile(keychain.CheapScrypt(keychain.FileOptions{Path: filepath.Join(t.TempDir(), "s", "store.age")}))
		if err := f.Unlock(t.Context(), secret.New("the passphrase")); err != nil {
			t.Fatal(err)
		}
		return f
	},
	"keychain, played": func(t *testing.T) keychain.Store {
		keychaintest.Start(t, startBus(t))
		return newKeychain(t)
	},
	"keychain, gnome-keyring": func(t *testing.T) keychain.Store {
		keychaintest.StartGNOMEKeyring(t, startBus(t))
		return newKeychain(t)
	},
}

func newKeychain(t *testing.T, opts ...keychain.Option) *keychain.Keychain {
	t.Helper()
	k := keychain.NewKeychain(append([]keychain.Option{keychain.WithService("cspctl-test")}, opts...)...)
	t.Cleanup(func() { k.Close() })
	return k
}

// startBus starts a session bus and makes it this process's.
func startBus(t *testing.T, services ...bustest.Activatable) *bustest.Bus {
	t.Helper()
	if runtime.GOOS == "darwin" || runtime.GOOS == "windows" {
		t.Skip("needs a system whose keychain is on D-Bus")
	}
	b := bustest.StartBus(t, services...)
	b.Use(t)
	return b
}

func eachStore(t *testing.T, f func(t *testing.T, s keychain.Store)) {
	t.Helper()
	for name, open := range stores {
		t.Run(name, func(t *testing.T) { f(t, open(t)) })
	}
}

func TestStoreKeepsWhatItIsGiven(t *testing.T) {
	eachStore(t, func(t *testing.T, s keychain.Store) {
		ctx := t.Context()
		if st := s.State(ctx); st.Status != provider.StoreReady || st.Kind == "" || st.Detail == "" || st.Hint != "" {
			t.Errorf("state %+v", st)
		}
		if _, err := s.Get(ctx, "one", provider.NoPrompt); !errors.Is(err, provider.ErrNoSecret) {
			t.Errorf("get from an empty store: %v", err)
		}
		if err := s.Delete(ctx, "one", provider.NoPrompt); err != nil {
			t.Errorf("delete from an empty store: %v", err)
		}
		steps := []struct {
			profile string
			n       int
		}{{"one", 1}, {"two", 2}, {"one", 3}, {"a.b_c-D9", 4}}
		want := map[string]int{}
		for _, step := range steps {
			if err := s.Put(ctx, step.profile, credential(step.n), provider.NoPrompt); err != nil {
				t.Fatal(err)
			}
			want[step.profile] = step.n
			for profile, n := range want {
				expect(t, s, profile, n)
			}
		}
		if err := s.Delete(ctx, "one", provider.NoPrompt); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Get(ctx, "one", provider.NoPrompt); !errors.Is(err, provider.ErrNoSecret) {
			t.Errorf("get of a deleted one: %v", err)
		}
		expect(t, s, "two", 2)
	})
}

// P1: provider, server, org, client and CA rest in the secret's own item.
func TestP1ItemHoldsTheBinding(t *testing.T) {
	eachStore(t, func(t *testing.T, s keychain.Store) {
		c := credential(7)
		c.CA = []byte("PEM") // not part of the item
		if err := s.Put(t.Context(), "p", c, provider.NoPrompt); err != nil {
			t.Fatal(err)
		}
		got, err := s.Get(t.Context(), "p", provider.NoPrompt)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c.Binding, got.Binding); d != "" || got.CA != nil {
			t.Errorf("CA %q, binding: %s", got.CA, d)
		}
	})
}

func TestStoreRefusesWhatItCouldNotGiveBack(t *testing.T) {
	bad := map[string]func(*provider.Credential){
		"no secret":     func(c *provider.Credential) { c.Secret = secret.New("") },
		"no provider":   func(c *provider.Credential) { c.Provider = "" },
		"not UTF-8":     func(c *provider.Credential) { c.Secret = secret.New("a\xff") },
		"user no UTF-8": func(c *provider.Credential) { c.User = "a\xff" },
		"too long":      func(c *provider.Credential) { c.Secret = secret.New(strings.Repeat("x", 64<<10)) },
	}
	eachStore(t, func(t *testing.T, s keychain.Store) {
		if err := s.Put(t.Context(), "p", credential(1), provider.NoPrompt); err != nil {
			t.Fatal(err)
		}
		for name, spoil := range bad {
			c := credential(2)
			spoil(&c)
			err := s.Put(t.Context(), "p", c, provider.NoPrompt)
			if e, ok := errors.AsType[*provider.StoreError](err); !ok || e.State.Detail == "" {
				t.Errorf("%s: %v", name, err)
			}
		}
		expect(t, s, "p", 1)
	})
}

func TestStoreTakesEveryText(t *testing.T) {
	texts := []string{`quotes " ' \ and <tags> & $(x)`, "lines\nand\ttabs", "pass wörd 世界 \u2028", " spaces ", strings.Repeat("k", 1500)}
	eachStore(t, func(t *testing.T, s keychain.Store) {
		for i, text := range texts {
			c := credential(1)
			c.Secret = secret.New(text)
			if err := s.Put(t.Context(), "p", c, provider.NoPrompt); err != nil {
				t.Fatal(err)
			}
			if got, err := s.Get(t.Context(), "p", provider.NoPrompt); err != nil || !same(got, c) {
				t.Errorf("text %d came back changed, %v", i, err)
			}
		}
	})
}

func TestStoreServesManyAtOnce(t *testing.T) {
	eachStore(t, func(t *testing.T, s keychain.Store) {
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				profile := fmt.Sprint("p", i)
				for n := range 3 {
					if err := s.Put(t.Context(), profile, credential(n), provider.NoPrompt); err != nil {
						t.Error(err)
					}
					expect(t, s, profile, n)
				}
			})
		}
		wg.Wait()
	})
}

func expect(t *testing.T, s keychain.Store, profile string, n int) {
	t.Helper()
	got, err := s.Get(context.WithoutCancel(t.Context()), profile, provider.NoPrompt)
	if err != nil || !same(got, credential(n)) {
		t.Errorf("%s: got %v, %v; want %v", profile, got.Binding, err, credential(n).Binding)
	}
}

// expectError checks the state in an error, and that it says what to do.
func expectError(t *testing.T, err error, status provider.StoreStatus, detail string) {
	t.Helper()
	e, ok := errors.AsType[*provider.StoreError](err)
	if !ok || e.State.Status != status || !strings.Contains(e.Error(), detail) || e.State.Hint == "" || e.State.Kind == "" {
		t.Errorf("got %#v (%v), want %s with %q", e, err, status, detail)
	}
}
