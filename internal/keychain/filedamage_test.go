package keychain_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cspctl/cspctl/internal/keychain"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
)

// damages calls f with the content cut at each length, with a bit of each byte
// turned, and with something before or behind it.
func damages(good []byte, f func(how string, bad []byte)) {
	for n := range good {
		f("cut", good[:n])
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1 << (i % 8)
		f("a bit turned", bad)
	}
	f("doubled", append(bytes.Clone(good), good...))
	f("a byte behind", append(bytes.Clone(good), 0))
	f("a byte before", append([]byte{'\n'}, good...))
}

// A store that was cut at any length, or in which any byte was changed, is an
// error that says so, gives out nothing, and stays as it is.
func TestFileAnyDamageIsNoticed(t *testing.T) {
	o := fileStore(t)
	o.KeyFile = writeKey(t, newIdentity(t).String())
	put(t, keychain.NewFile(o), "p", 1)
	good, err := os.ReadFile(o.Path)
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	damages(good, func(how string, bad []byte) {
		tried++
		if err := os.WriteFile(o.Path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		f := keychain.NewFile(o)
		c, err := f.Get(t.Context(), "p", provider.NoPrompt)
		if e, ok := errors.AsType[*provider.StoreError](err); !ok || !c.Secret.IsZero() || e.State.Status != provider.StoreUnavailable || e.State.Hint == "" ||
			// A turned bit in the part for the key makes it one for another key.
			!strings.Contains(e.State.Detail, "truncated, or was tampered with") && !strings.Contains(e.State.Detail, "encrypted to another key") {
			t.Fatalf("%s: %v", how, err)
		}
		if f.Put(t.Context(), "q", credential(2), provider.NoPrompt) == nil || f.Delete(t.Context(), "p", provider.NoPrompt) == nil {
			t.Fatalf("%s: it is written to", how)
		}
		if now, err := os.ReadFile(o.Path); err != nil || !bytes.Equal(now, bad) {
			t.Fatalf("%s: it was changed, %v", how, err)
		}
	})
	if tried < 2*len(good) {
		t.Errorf("%d damages alone", tried)
	}
}

// The same for the key that a passphrase protects. A turned bit in its salt
// can't be told from a wrong passphrase.
func TestFileAnyDamageOfItsKeyIsNoticed(t *testing.T) {
	o := fileStore(t)
	unlock(t, keychain.NewFile(o), "the passphrase")
	path := filepath.Join(filepath.Dir(o.Path), "store-key.age")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damages(good, func(how string, bad []byte) {
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		err := keychain.NewFile(o).Unlock(t.Context(), secret.New("the passphrase"))
		if e, ok := errors.AsType[*provider.StoreError](err); !ok || e.State.Hint == "" ||
			!strings.Contains(e.State.Detail, "truncated, or was tampered with") && !errors.Is(err, provider.ErrWrongPassphrase) {
			t.Fatalf("%s: %v", how, err)
		}
		if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, bad) {
			t.Fatalf("%s: it was changed, %v", how, err)
		}
	})
}

// What no encryption can notice: an older copy of the file, put back by
// somebody who may write there, is the store as it was then. Its secret is
// still bound to where it was stored for.
func TestFileOlderCopyIsTheStoreOfThen(t *testing.T) {
	o := fileStore(t)
	o.KeyFile = writeKey(t, newIdentity(t).String())
	f := keychain.NewFile(o)
	put(t, f, "p", 1)
	older, err := os.ReadFile(o.Path)
	if err != nil {
		t.Fatal(err)
	}
	put(t, f, "p", 2)
	put(t, f, "q", 2)
	if err := os.WriteFile(o.Path, older, 0o600); err != nil {
		t.Fatal(err)
	}
	expect(t, f, "p", 1)
	if _, err := f.Get(t.Context(), "q", provider.NoPrompt); !errors.Is(err, provider.ErrNoSecret) {
		t.Errorf("got %v", err)
	}
}
