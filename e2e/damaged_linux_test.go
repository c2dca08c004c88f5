package e2e_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A file store that was cut or tampered with, or whose key is the wrong one or
// open to others: a clear error, exit code 8, and nothing is written to the
// file, also at a login. Once it is put right, all is there.
func TestFileStoreThatCannotBeUsed(t *testing.T) {
	w := unserviced(t, nil)
	store, key := filepath.Join(w.dir, "home", ".local", "share", "cspctl", "store.age"), filepath.Join(w.dir, "store.key")
	content, err := os.ReadFile(store)
	if err != nil {
		t.Fatal(err)
	}
	rightKey, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	otherKey, err := os.ReadFile(storeKey(t, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(content)
	flipped[len(flipped)-1] ^= 1
	for _, c := range []struct {
		name   string
		damage func() error
		want   string
	}{
		{"cut", func() error { return os.WriteFile(store, content[:len(content)/2], 0o600) }, "is truncated, or was tampered with"},
		{"tampered with", func() error { return os.WriteFile(store, flipped, 0o600) }, "is truncated, or was tampered with"},
		{"empty", func() error { return os.WriteFile(store, nil, 0o600) }, "is truncated, or was tampered with"},
		{"the key of another store", func() error { return os.WriteFile(key, otherKey, 0o600) }, "is encrypted to another key"},
		{"no key", func() error { return os.WriteFile(key, nil, 0o600) }, "holds no age identity"},
		{"the key's file is gone", func() error { return os.Remove(key) }, "no such file"},
		{"the key is open to others", func() error { return os.Chmod(key, 0o644) }, "its mode 0644 lets others at it"},
		{"the key is somebody else's", func() error { return os.Chown(key, stranger, stranger) }, "belongs to somebody else"},
	} {
		t.Run(c.name, func(t *testing.T) {
			end(t, w.pid(t), syscall.SIGKILL)
			if err := c.damage(); err != nil {
				t.Fatal(err)
			}
			before, err := os.ReadFile(store)
			if err != nil {
				t.Fatal(err)
			}
			out, code, stderr := w.do("token", "prod")
			if code != 8 || out != "" || !strings.Contains(stderr, c.want) || !strings.Contains(stderr, "cspctl: hint: ") {
				t.Errorf("token: exit %d, %q, %s", code, out, stderr)
			}
			said, err := w.login("lab", "prod.token", "--store", "file")
			if e, ok := errors.AsType[*exec.ExitError](err); !ok || e.ExitCode() != 8 || !strings.Contains(said, c.want) {
				t.Errorf("login: %v: %s", err, said)
			}
			if now, err := os.ReadFile(store); err != nil || !bytes.Equal(now, before) {
				t.Errorf("the file was changed: %v", err)
			}
			err = errors.Join(os.WriteFile(store, content, 0o600), os.WriteFile(key, rightKey, 0o600), os.Chown(key, 0, 0), os.Chmod(key, 0o600))
			if err != nil {
				t.Fatal(err)
			}
			w.mustServe(t, "put right")
		})
	}
}
