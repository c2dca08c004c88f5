package keychain_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"filippo.io/age"
	"github.com/gofrs/flock"

	"github.com/cspctl/cspctl/internal/keychain"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
)

func writeKey(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte("# a comment\n"+text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func newIdentity(t *testing.T) *age.X25519Identity {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// fileStore returns the options of a store in a folder of its own.
func fileStore(t *testing.T) keychain.FileOptions {
	t.Helper()
	return keychain.CheapScrypt(keychain.FileOptions{Path: filepath.Join(t.TempDir(), "cspctl", "store.age")})
}

func unlock(t *testing.T, f *keychain.File, passphrase string) {
	t.Helper()
	if err := f.Unlock(t.Context(), secret.New(passphrase)); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, s keychain.Store, profile string, n int) {
	t.Helper()
	if err := s.Put(t.Context(), profile, credential(n), provider.NoPrompt); err != nil {
		t.Fatal(err)
	}
}

func TestFilePassphrase(t *testing.T) {
	o := fileStore(t)
	f := keychain.NewFile(o)
	if needs, set := f.NeedsPassphrase(); !needs || set {
		t.Errorf("a new store: needs %v, set %v", needs, set)
	}
	expectState(t, f, provider.StoreLocked, "no passphrase yet")
	expectError(t, f.Put(t.Context(), "p", credential(1), provider.MayPrompt), provider.StoreLocked, "no passphrase yet")
	expectError(t, f.Unlock(t.Context(), secret.New("")), provider.StoreLocked, "empty")

	unlock(t, f, "first")
	expectState(t, f, provider.StoreReady, "")
	put(t, f, "p", 1)

	f.Lock()
	expectState(t, f, provider.StoreLocked, "locked")
	_, err := f.Get(t.Context(), "p", provider.NoPrompt)
	expectError(t, err, provider.StoreLocked, "locked")
	expectError(t, f.Delete(t.Context(), "p", provider.NoPrompt), provider.StoreLocked, "locked")

	// Another process.
	f = keychain.NewFile(o)
	if needs, set := f.NeedsPassphrase(); !needs || !set {
		t.Errorf("needs %v, set %v", needs, set)
	}
	expectState(t, f, provider.StoreLocked, "locked")
	err = f.Unlock(t.Context(), secret.New("second"))
	expectError(t, err, provider.StoreLocked, "passphrase is wrong")
	if !errors.Is(err, provider.ErrWrongPassphrase) {
		t.Errorf("got %v", err)
	}
	expectState(t, f, provider.StoreLocked, "locked")
	unlock(t, f, "first")
	expect(t, f, "p", 1)
	// A wrong one changes nothing for a store that is open.
	expectError(t, f.Unlock(t.Context(), secret.New("third")), provider.StoreLocked, "passphrase is wrong")
	expect(t, f, "p", 1)
}

func TestFileFirstPassphraseWinsAmongMany(t *testing.T) {
	o := fileStore(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	opened := map[string]bool{}
	for _, p := range []string{"a", "b", "c", "d"} {
		wg.Go(func() {
			err := keychain.NewFile(o).Unlock(context.WithoutCancel(t.Context()), secret.New(p))
			if err != nil && !errors.Is(err, provider.ErrWrongPassphrase) {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			opened[p] = err == nil
		})
	}
	wg.Wait()
	for p, ok := range opened {
		if err := keychain.NewFile(o).Unlock(t.Context(), secret.New(p)); (err == nil) != ok {
			t.Errorf("passphrase %s: then %v, now %v", p, ok, err)
		}
	}
}

// P9: neither file shows a secret, a server or a profile.
func TestP9FileIsNeverPlainText(t *testing.T) {
	o := fileStore(t)
	f := keychain.NewFile(o)
	unlock(t, f, "the passphrase")
	put(t, f, "profilename", 1)
	entries, err := os.ReadDir(filepath.Dir(o.Path))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, e := range entries {
		names[e.Name()] = true
		data, err := os.ReadFile(filepath.Join(filepath.Dir(o.Path), e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		c := credential(1)
		for _, s := range []string{c.Secret.Reveal(), c.Origin, c.Org, "profilename", "the passphrase", "AGE-SECRET-KEY"} {
			if bytes.Contains(data, []byte(s)) {
				t.Errorf("%s shows %q", e.Name(), s)
			}
		}
	}
	if want := []string{"store.age", "store-key.age", "store.age.lock"}; len(names) != 3 || !names[want[0]] || !names[want[1]] || !names[want[2]] {
		t.Errorf("files %v, want %v", names, want)
	}
}

func TestT33FileModes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs a unix: Windows has no file modes")
	}
	o := fileStore(t)
	f := keychain.NewFile(o)
	unlock(t, f, "p")
	put(t, f, "p", 1)
	dir := filepath.Dir(o.Path)
	for path, want := range map[string]os.FileMode{
		dir: 0o700, o.Path: 0o600, o.Path + ".lock": 0o600, filepath.Join(dir, "store-key.age"): 0o600,
	} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want %v", path, info.Mode().Perm(), err, want)
		}
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	expectError(t, f.Put(t.Context(), "p", credential(2), provider.NoPrompt), provider.StoreUnavailable, "others can change the folder")
}

// The two files open with the age program: nobody depends on this one for
// their own secrets.
func TestFileOpensWithPlainAge(t *testing.T) {
	o := fileStore(t)
	f := keychain.NewFile(o)
	unlock(t, f, "the passphrase")
	put(t, f, "p", 1)
	s, err := age.NewScryptIdentity("the passphrase")
	if err != nil {
		t.Fatal(err)
	}
	key := decrypt(t, filepath.Join(filepath.Dir(o.Path), "store-key.age"), s)
	ids, err := age.ParseIdentities(strings.NewReader(key))
	if err != nil {
		t.Fatal(err)
	}
	if text := decrypt(t, o.Path, ids...); !strings.Contains(text, credential(1).Secret.Reveal()) {
		t.Error("the secret is not in the file")
	}
}

func decrypt(t *testing.T, path string, ids ...age.Identity) string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, err := age.Decrypt(file, ids...)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A file that could not be read is told apart, and never overwritten.
func TestFileThatCannotBeReadIsKept(t *testing.T) {
	o := fileStore(t)
	o.KeyFile = writeKey(t, newIdentity(t).String())
	put(t, keychain.NewFile(o), "p", 1)
	good, err := os.ReadFile(o.Path)
	if err != nil {
		t.Fatal(err)
	}
	other := o
	other.KeyFile = writeKey(t, newIdentity(t).String())
	flipped := bytes.Clone(good)
	flipped[len(flipped)-1] ^= 1
	header := bytes.Clone(good)
	header[len("age-encryption.org/v1\n-> X25519 ")+5] ^= 1
	for _, c := range []struct {
		name, want string
		content    []byte
		options    keychain.FileOptions
	}{
		{"cut in the middle", "truncated, or was tampered with", good[:len(good)-20], o},
		{"cut in the header", "truncated, or was tampered with", good[:30], o},
		{"empty", "truncated, or was tampered with", nil, o},
		{"a bit flipped", "truncated, or was tampered with", flipped, o},
		{"a bit flipped in the header", "", header, o},
		{"more behind", "truncated, or was tampered with", append(bytes.Clone(good), 'x'), o},
		{"plain text", "truncated, or was tampered with", []byte(`{"v":1,"items":{}}`), o},
		{"another key", "is encrypted to another key", good, other},
		{"huge", "can't be read", make([]byte, 8<<20+1), o},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := os.WriteFile(o.Path, c.content, 0o600); err != nil {
				t.Fatal(err)
			}
			f := keychain.NewFile(c.options)
			expectState(t, f, provider.StoreUnavailable, c.want)
			_, err := f.Get(t.Context(), "p", provider.NoPrompt)
			expectError(t, err, provider.StoreUnavailable, c.want)
			expectError(t, f.Put(t.Context(), "q", credential(2), provider.NoPrompt), provider.StoreUnavailable, c.want)
			expectError(t, f.Delete(t.Context(), "p", provider.NoPrompt), provider.StoreUnavailable, c.want)
			if now, err := os.ReadFile(o.Path); err != nil || !bytes.Equal(now, c.content) {
				t.Errorf("the file was changed, %v", err)
			}
		})
	}
}

func TestFileWhoseKeyIsGoneIsKept(t *testing.T) {
	o := fileStore(t)
	f := keychain.NewFile(o)
	unlock(t, f, "p")
	put(t, f, "p", 1)
	key := filepath.Join(filepath.Dir(o.Path), "store-key.age")
	whole, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(key, whole[:len(whole)-3], 0o600); err != nil {
		t.Fatal(err)
	}
	f = keychain.NewFile(o)
	expectError(t, f.Unlock(t.Context(), secret.New("p")), provider.StoreUnavailable, "truncated, or was tampered with")
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	expectState(t, f, provider.StoreUnavailable, "the key of "+o.Path+" is missing")
	expectError(t, f.Unlock(t.Context(), secret.New("p")), provider.StoreUnavailable, "is missing")
	if _, err := os.Stat(key); err == nil {
		t.Error("a new key was made for a store that it can't open")
	}
	if err := os.WriteFile(key, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	unlock(t, f, "p")
	expect(t, f, "p", 1)
}

// Two agents, or an agent and its successor, lose none of each other's items.
func TestFileTwoProcessesAtOnce(t *testing.T) {
	o := fileStore(t)
	o.KeyFile = writeKey(t, newIdentity(t).String())
	a, b := keychain.NewFile(o), keychain.NewFile(o)
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() { put(t, a, string(rune('a'+i)), i) })
		wg.Go(func() { put(t, b, string(rune('A'+i)), i) })
	}
	wg.Wait()
	for i := range 10 {
		expect(t, b, string(rune('a'+i)), i)
		expect(t, a, string(rune('A'+i)), i)
	}
}

// P8: a process that holds the lock for ever costs an error, not a hang; and
// nobody who only reads waits for it.
func TestP8FileLockIsWaitedForInBounds(t *testing.T) {
	o := fileStore(t)
	o.KeyFile = writeKey(t, newIdentity(t).String())
	f := keychain.NewFile(o)
	put(t, f, "p", 1)
	l := flock.New(o.Path + ".lock")
	if ok, err := l.TryLock(); !ok {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	expectError(t, f.Put(ctx, "p", credential(2), provider.NoPrompt), provider.StoreUnavailable, "another process")
	expect(t, f, "p", 1)
	if err := l.Unlock(); err != nil {
		t.Fatal(err)
	}
	put(t, f, "p", 2)
}

func expectState(t *testing.T, s keychain.Store, status provider.StoreStatus, detail string) {
	t.Helper()
	st := s.State(t.Context())
	if st.Status != status || !strings.Contains(st.Detail, detail) || (st.Hint == "") != (status == provider.StoreReady) {
		t.Errorf("got %+v, want %s with %q", st, status, detail)
	}
}
