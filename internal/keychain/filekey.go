package keychain

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"

	"github.com/cspctl/cspctl/internal/atomicfile"
	"github.com/cspctl/cspctl/internal/provider"
)

const maxKeyFile = 64 << 10 // bytes

// identity is the key of a file store.
type identity struct {
	all []age.Identity // any of them opens the file
	to  age.Recipient  // of the first
}

func (id identity) isZero() bool { return len(id.all) == 0 }

func (id identity) encrypt(text []byte) ([]byte, error) {
	return encryptTo(id.to, text)
}

func (id identity) decrypt(data []byte) ([]byte, error) {
	return decryptWith(data, id.all...)
}

func encryptTo(r age.Recipient, text []byte) ([]byte, error) {
	var buf bytes.Buffer
	w, err := age.Encrypt(&buf, r)
	if err != nil {
		return nil, err
	}
	_, err = w.Write(text)
	err = errors.Join(err, w.Close()) // which writes the last chunk
	return buf.Bytes(), err
}

func decryptWith(data []byte, ids ...age.Identity) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(data), ids...)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// parseIdentity reads an age identity file. Its error shows nothing of it.
func parseIdentity(text []byte) (identity, error) {
	all, err := age.ParseIdentities(bytes.NewReader(text))
	if err != nil {
		return identity{}, errors.New("not an age identity")
	}
	id := identity{all: all}
	switch first := all[0].(type) {
	case *age.X25519Identity:
		id.to = first.Recipient()
	case *age.HybridIdentity:
		id.to = first.Recipient()
	default:
		return identity{}, errors.New("an age identity of an unknown kind")
	}
	return id, nil
}

// credential returns the path of the systemd credential, if there is one.
func (f *File) credential() string {
	if f.opts.CredentialsDir == "" {
		return ""
	}
	path := filepath.Join(f.opts.CredentialsDir, CredentialName)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return path
}

// keyPath is the file that holds the key under a passphrase.
func (f *File) keyPath() string {
	return strings.TrimSuffix(f.opts.Path, filepath.Ext(f.opts.Path)) + "-key.age"
}

// source names where the key comes from.
func (f *File) source() string {
	if c := f.credential(); c != "" {
		return c
	}
	if f.opts.KeyFile != "" {
		return f.opts.KeyFile
	}
	return f.keyPath()
}

// NeedsPassphrase reports whether the key comes from a passphrase, and whether
// one was set before. If not, the next Unlock sets it.
func (f *File) NeedsPassphrase() (needs, set bool) {
	if f.credential() != "" || f.opts.KeyFile != "" {
		return false, false
	}
	_, err := os.Lstat(f.keyPath())
	return true, err == nil
}

// key returns the key, from whichever source is set.
func (f *File) key() (identity, *provider.StoreError) {
	f.mu.Lock()
	id, shut := f.identity, f.shut
	f.mu.Unlock()
	credential := f.credential()
	switch {
	case shut:
		return identity{}, locked(provider.File, "the file store is locked", "unlock it: cspctl unlock", nil)
	case credential != "":
		return loadKey(credential, checkCredential)
	case f.opts.KeyFile != "":
		return loadKey(f.opts.KeyFile, checkKeyFile)
	case !id.isZero():
		return id, nil
	}
	_, keyErr := os.Lstat(f.keyPath())
	_, storeErr := os.Lstat(f.opts.Path)
	switch {
	case keyErr == nil:
		return id, locked(provider.File, "the file store is locked", "unlock it: cspctl unlock", nil)
	case storeErr == nil:
		return id, f.keyMissing()
	}
	return id, locked(provider.File, "the file store has no passphrase yet", "set one: cspctl unlock", nil)
}

func (f *File) keyMissing() *provider.StoreError {
	return unavailable(provider.File, "the key of "+f.opts.Path+" is missing: there is no "+f.keyPath(),
		"set CSP_AGENT_STORE_KEY_FILE to the key that it was made with, restore the key, or move the file away", nil)
}

// loadKey reads an identity file that passes check.
func loadKey(path string, check func(fs.FileInfo) error) (identity, *provider.StoreError) {
	fail := func(why, hint string, err error) (identity, *provider.StoreError) {
		return identity{}, unavailable(provider.File, "the key file "+path+" can't be used: "+why, hint, err)
	}
	file, info, err := atomicfile.Open(path)
	if err != nil {
		return fail(plain(err), "check the path in CSP_AGENT_STORE_KEY_FILE, or the service's LoadCredential=", err)
	}
	defer func() { _ = file.Close() }()
	if err := check(info); err != nil {
		return fail(err.Error(), "chmod 600 it, and make it your own", nil)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxKeyFile+1))
	if err != nil || len(text) > maxKeyFile {
		return fail("it can't be read, or is too long", "make one with age-keygen", err)
	}
	id, err := parseIdentity(text)
	if err != nil {
		return fail("it holds no age identity", "make one with age-keygen", nil)
	}
	return id, nil
}

// NewKeyFile makes a key for a file store, as an age identity file.
func NewKeyFile() ([]byte, error) {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "# public key: %s\n%s\n", key.Recipient(), key), nil
}
