package keychain_test

import (
	"testing"

	"github.com/cspctl/cspctl/internal/keychain"
	"github.com/cspctl/cspctl/internal/secret"
)

func TestVerifier(t *testing.T) {
	matches, err := keychain.NewVerifier(secret.New("correct horse"))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{"correct horse": true, "correct horse ": false, "Correct horse": false, "": false} {
		if got := matches(secret.New(text)); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
	if _, err := keychain.NewVerifier(secret.Text{}); err == nil {
		t.Error("an empty passphrase")
	}
}
