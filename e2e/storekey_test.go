//go:build unix

package e2e_test

import (
	"os"
	"path/filepath"
	"testing"

	"filippo.io/age"
	"github.com/rogpeppe/go-internal/testscript"
)

// storeKey makes a key file for the file store below dir, as age-keygen does.
func storeKey(t *testing.T, dir string) string {
	t.Helper()
	file, err := writeStoreKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func writeStoreKey(dir string) (file string, err error) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return "", err
	}
	file = filepath.Join(dir, "store.key")
	return file, os.WriteFile(file, []byte(id.String()+"\n"), 0o600)
}

// storekey makes a key file, store.key, and has agents use it.
func storeKeyCommand(ts *testscript.TestScript, neg bool, args []string) {
	file, err := writeStoreKey(worldOf(ts).dir)
	ts.Check(err)
	ts.Setenv("CSP_AGENT_STORE_KEY_FILE", file)
}
