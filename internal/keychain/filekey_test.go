package keychain_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"filippo.io/age"

	"github.com/cspctl/cspctl/internal/keychain"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
)

func TestFileKeySourcesInOrder(t *testing.T) {
	first, second := newIdentity(t), newIdentity(t)
	o := fileStore(t)
	o.CredentialsDir = t.TempDir()
	o.KeyFile = writeKey(t, second.String())
	credentialFile := filepath.Join(o.CredentialsDir, keychain.CredentialName)

	// systemd sets the directory, but gave no such credential.
	put(t, keychain.NewFile(o), "p", 1)
	decrypt(t, o.Path, second)
	if err := os.Remove(o.Path); err != nil {
		t.Fatal(err)
	}
	// 0440 is what systemd's ACL looks like.
	if err := os.WriteFile(credentialFile, []byte(first.String()), 0o440); err != nil {
		t.Fatal(err)
	}
	put(t, keychain.NewFile(o), "p", 1)
	decrypt(t, o.Path, first)

	// A bad first source is no reason to take the second.
	if err := os.Remove(credentialFile); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(credentialFile, []byte("nonsense"), 0o400); err != nil {
		t.Fatal(err)
	}
	expectState(t, keychain.NewFile(o), provider.StoreUnavailable, "holds no age identity")
}

func TestFileKeyFileIsChecked(t *testing.T) {
	id := newIdentity(t)
	good := writeKey(t, id.String())
	hybrid, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	linkErr := os.Symlink(good, link)
	if _, err := os.Stat(link); linkErr == nil {
		linkErr = err // wine's CreateSymbolicLink reports success and makes nothing
	}
	open := func(mode os.FileMode) string {
		path := writeKey(t, id.String())
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct{ name, path, want string }{
		{"good", good, ""},
		{"read only", open(0o400), ""},
		{"hybrid", writeKey(t, hybrid.String()), ""},
		{"a link to a good one", link, ""},
		{"missing", good + "x", strings.TrimSuffix(syscall.ENOENT.Error(), ".")},
		{"a folder", t.TempDir(), "not a regular file"},
		{"readable by the group", open(0o640), "mode 0640"},
		{"readable by all", open(0o604), "mode 0604"},
		{"a recipient", writeKey(t, id.Recipient().String()), "no age identity"},
		{"empty", writeKey(t, ""), "no age identity"},
		{"cut", writeKey(t, id.String()[:40]), "no age identity"},
		{"too long", writeKey(t, strings.Repeat("# x\n", 20_000)+id.String()), "too long"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if runtime.GOOS == "windows" && strings.Contains(c.want, "mode") {
				t.Skip("needs a unix: Windows has no file modes")
			}
			if c.path == link && linkErr != nil && runtime.GOOS == "windows" {
				t.Skipf("needs symbolic links (Windows developer mode; wine has none): %v", linkErr)
			}
			o := fileStore(t)
			o.KeyFile = c.path
			f := keychain.NewFile(o)
			if c.want == "" {
				expectState(t, f, provider.StoreReady, "")
				put(t, f, "p", 1)
				expect(t, f, "p", 1)
				return
			}
			expectState(t, f, provider.StoreUnavailable, c.want)
			err := f.Put(t.Context(), "p", credential(1), provider.NoPrompt)
			expectError(t, err, provider.StoreUnavailable, c.want)
			if strings.Contains(err.Error(), "AGE-SECRET") {
				t.Errorf("the error shows the key: %v", err)
			}
			if _, err := os.Stat(o.Path); err == nil {
				t.Error("the store was written without its key")
			}
		})
	}
}

func TestFileKeyFileOfAnotherUserIsRefused(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to give a file away")
	}
	o := fileStore(t)
	o.KeyFile = writeKey(t, newIdentity(t).String())
	if err := os.Chown(o.KeyFile, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	expectState(t, keychain.NewFile(o), provider.StoreUnavailable, "belongs to somebody else")
}

// A new key is put first in the key file; what the old one encrypted is still
// read, and the next write is to the new one.
func TestFileKeyRotation(t *testing.T) {
	before, after := newIdentity(t), newIdentity(t)
	o := fileStore(t)
	o.KeyFile = writeKey(t, before.String())
	put(t, keychain.NewFile(o), "p", 1)
	o.KeyFile = writeKey(t, after.String()+"\n"+before.String())
	f := keychain.NewFile(o)
	expect(t, f, "p", 1)
	put(t, f, "q", 2)
	o.KeyFile = writeKey(t, after.String())
	f = keychain.NewFile(o)
	expect(t, f, "p", 1)
	expect(t, f, "q", 2)
}

func TestFileLockHoldsWithAKeyFileToo(t *testing.T) {
	o := fileStore(t)
	o.KeyFile = writeKey(t, newIdentity(t).String())
	f := keychain.NewFile(o)
	put(t, f, "p", 1)
	if needs, _ := f.NeedsPassphrase(); needs {
		t.Error("a passphrase is asked for in vain")
	}
	f.Lock()
	_, err := f.Get(t.Context(), "p", provider.NoPrompt)
	expectError(t, err, provider.StoreLocked, "locked")
	if err := f.Unlock(t.Context(), secret.New("")); err != nil {
		t.Fatal(err)
	}
	expect(t, f, "p", 1)
}
