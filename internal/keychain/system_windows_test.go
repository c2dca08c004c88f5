package keychain_test

import (
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"github.com/zalando/go-keyring"

	"github.com/cspctl/cspctl/internal/keychain"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
)

func init() {
	stores["keychain, the Credential Manager"] = func(t *testing.T) keychain.Store { return credentialManager(t) }
}

// credentialManager keeps its items under a name of their own, and removes them.
func credentialManager(t *testing.T) *keychain.Keychain {
	service := "cspctl-test-" + rand.Text()
	t.Cleanup(func() {
		if err := keyring.DeleteAll(service); err != nil && !errors.Is(err, keyring.ErrNotFound) {
			t.Errorf("items are left: %v", err)
		}
	})
	return newKeychain(t, keychain.WithService(service))
}

func TestT17CredentialManagerRefusesLongItems(t *testing.T) {
	k := credentialManager(t)
	if s := k.State(t.Context()); s.Status != provider.StoreReady || s.Detail != "the Windows Credential Manager" {
		t.Fatalf("got %+v", s)
	}
	short, long := credential(1), credential(1)
	long.Secret = secret.New(strings.Repeat("x", 2560))
	if err := k.Put(t.Context(), "p", short, provider.NoPrompt); err != nil {
		t.Fatal(err)
	}
	err := k.Put(t.Context(), "p", long, provider.NoPrompt)
	var e *provider.StoreError
	if !errors.As(err, &e) || !strings.Contains(e.Error()+e.State.Hint, "--store file") {
		t.Errorf("got %v", err)
	}
	if got, err := k.Get(t.Context(), "p", provider.NoPrompt); err != nil || !same(got, short) {
		t.Errorf("the item before it is gone: %v", err)
	}
}
