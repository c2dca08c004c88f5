package keychain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"

	"filippo.io/age"

	"github.com/cspctl/cspctl/internal/atomicfile"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
)

const (
	// workFactor of scrypt: 2^17, with r = 8 and p = 1, is what OWASP asks for
	// (Password Storage Cheat Sheet). It takes 128 MiB for a moment.
	workFactor = 17
	// maxWorkFactor bounds what a file that was tampered with can make us do.
	maxWorkFactor = 20
)

// Unlock gives the passphrase. The first one ever given becomes the store's;
// another than that is refused with provider.ErrWrongPassphrase. It takes about half a
// second of work, during which the store goes on for everybody else. Where the
// key comes from a file, the passphrase is not looked at: it is the caller's to
// check who may end a Lock.
func (f *File) Unlock(ctx context.Context, passphrase secret.Text) error {
	if needs, _ := f.NeedsPassphrase(); needs {
		if passphrase.IsZero() {
			return locked(provider.File, "the passphrase is empty", "enter one", nil)
		}
		select {
		case f.unlocking <- struct{}{}:
			defer func() { <-f.unlocking }()
		case <-ctx.Done():
			return unavailable(provider.File, "the file store is being unlocked by somebody else", "try again", ctx.Err())
		}
		defer debug.FreeOSMemory() // what scrypt took
		id, e := f.openKey(ctx, passphrase)
		if e != nil {
			return e
		}
		if _, e := f.read(id); e != nil {
			return e
		}
		f.mu.Lock()
		f.identity, f.shut = id, false
		f.mu.Unlock()
		return nil
	}
	f.mu.Lock()
	f.shut = false
	f.mu.Unlock()
	if _, e := f.key(); e != nil {
		return e
	}
	return nil
}

// Lock forgets the key. The store gives nothing out until Unlock.
func (f *File) Lock() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.identity, f.shut = identity{}, true
}

// openKey opens the key with the passphrase, or makes a new one.
func (f *File) openKey(ctx context.Context, passphrase secret.Text) (identity, *provider.StoreError) {
	data, err := atomicfile.Read(f.keyPath(), maxKeyFile)
	if errors.Is(err, fs.ErrNotExist) {
		release, e := f.exclude(ctx)
		if e != nil {
			return identity{}, e
		}
		defer release()
		// Another process may have been first.
		if data, err = atomicfile.Read(f.keyPath(), maxKeyFile); errors.Is(err, fs.ErrNotExist) {
			return f.makeKey(passphrase)
		}
	}
	if err != nil {
		return identity{}, unavailable(provider.File, "the key "+f.keyPath()+" can't be read: "+plain(err), "check it", err)
	}
	damaged := func(err error) (identity, *provider.StoreError) {
		return identity{}, unavailable(provider.File, "the key "+f.keyPath()+" is truncated, or was tampered with",
			"restore it from a backup; without it the file store can't be opened", err)
	}
	s, err := age.NewScryptIdentity(passphrase.Reveal())
	if err != nil {
		return damaged(nil)
	}
	s.SetMaxWorkFactor(maxWorkFactor)
	text, err := decryptWith(data, s)
	if e, ok := errors.AsType[*age.NoIdentityMatchError](err); ok && len(e.StanzaTypes) == 1 && e.StanzaTypes[0] == "scrypt" {
		return identity{}, locked(provider.File, "the passphrase is wrong", "try again: cspctl unlock", provider.ErrWrongPassphrase)
	}
	if err != nil {
		return damaged(err)
	}
	id, err := parseIdentity(text)
	if err != nil {
		return damaged(err)
	}
	return id, nil
}

// makeKey makes the key of a new store, and the store. It runs under exclude.
func (f *File) makeKey(passphrase secret.Text) (identity, *provider.StoreError) {
	if _, err := os.Lstat(f.opts.Path); err == nil {
		return identity{}, f.keyMissing()
	}
	fail := func(err error) (identity, *provider.StoreError) {
		return identity{}, unavailable(provider.File, "the key "+f.keyPath()+" can't be written: "+plain(err),
			"check the space and the rights in "+filepath.Dir(f.opts.Path), err)
	}
	key, err := age.GenerateX25519Identity()
	if err != nil {
		return fail(err)
	}
	r, err := age.NewScryptRecipient(passphrase.Reveal())
	if err != nil {
		return fail(err)
	}
	r.SetWorkFactor(workFactor)
	if f.opts.workFactor != 0 {
		r.SetWorkFactor(f.opts.workFactor)
	}
	data, err := encryptTo(r, fmt.Appendf(nil, "# the key of %s\n# public key: %s\n%s\n", filepath.Base(f.opts.Path), key.Recipient(), key))
	if err != nil {
		return fail(err)
	}
	if err := atomicfile.Write(f.keyPath(), data); err != nil {
		return fail(err)
	}
	id := identity{[]age.Identity{key}, key.Recipient()}
	return id, f.write(id, map[string]json.RawMessage{})
}
