//go:build unix

package e2e_test

import (
	"os"
	"path/filepath"
	"testing"

	"filippo.io/age"
)

// storeKey makes a key file for the file store below dir, as age-keygen does.
func storeKey(t *testing.T, dir string) string {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "store.key")
	if err := os.WriteFile(file, []byte(id.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
