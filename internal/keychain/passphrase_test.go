package keychain_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/cspctl/cspctl/internal/keychain"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
)

// T31: the work of a passphrase, and a wrong one above all, holds nobody up.
func TestT31WrongPassphraseDelaysNobody(t *testing.T) {
	o := keychain.FileOptions{Path: filepath.Join(t.TempDir(), "store.age")} // with the real work factor
	f := keychain.NewFile(o)
	unlock(t, f, "right")
	put(t, f, "p", 1)
	key, err := os.ReadFile(filepath.Join(filepath.Dir(o.Path), "store-key.age"))
	if err != nil || !bytes.Contains(key, []byte(" 17\n")) {
		t.Errorf("the work factor is not 17: %.120s, %v", key, err)
	}
	done := make(chan error)
	go func() { done <- f.Unlock(t.Context(), secret.New("wrong")) }()
	served := 0
	for {
		select {
		case err := <-done:
			expectError(t, err, provider.StoreLocked, "passphrase is wrong")
			if served < 3 {
				t.Errorf("%d reads meanwhile", served)
			}
			return
		default:
			expect(t, f, "p", 1)
			expectState(t, f, provider.StoreReady, "")
			served++
		}
	}
}

// A file that asks for absurd work is refused before the work.
func TestFileAbsurdWorkFactorIsRefused(t *testing.T) {
	o := fileStore(t)
	unlock(t, keychain.NewFile(o), "p")
	key := filepath.Join(filepath.Dir(o.Path), "store-key.age")
	data, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	forged := bytes.Replace(data, []byte(" 1\n"), []byte(" 22\n"), 1)
	if bytes.Equal(forged, data) {
		t.Fatal("no work factor found")
	}
	if err := os.WriteFile(key, forged, 0o600); err != nil {
		t.Fatal(err)
	}
	expectError(t, keychain.NewFile(o).Unlock(t.Context(), secret.New("p")), provider.StoreUnavailable, "tampered")
}
