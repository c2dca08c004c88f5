package keychain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"filippo.io/age"
	"github.com/gofrs/flock"

	"github.com/cspctl/cspctl/internal/atomicfile"
	"github.com/cspctl/cspctl/internal/provider"
)

// FileOptions say where a file store is and where its key comes from. The
// first source that is set is the one: a bad key there is an error, never a
// reason to try the next.
type FileOptions struct {
	// Path of the encrypted file. Beside it are its lock file (.lock) and, with
	// a passphrase, the key that the passphrase protects (see File).
	Path string

	// CredentialsDir is $CREDENTIALS_DIRECTORY of systemd
	// (systemd.exec(5), LoadCredential=): used if it holds CredentialName.
	CredentialsDir string
	// KeyFile is an age identity file, as age-keygen writes it. It must belong
	// to us or root and be closed to everybody else.
	KeyFile string

	workFactor int // logN of scrypt; 0 is the default
}

// CredentialName is the systemd credential that holds the key: the content of
// an age identity file.
const CredentialName = "cspctl-store-key"

// File keeps all profiles in one file that is encrypted with age
// (https://age-encryption.org/v1), never in plain text.
//
// The file is encrypted to an X25519 (or hybrid) identity. With a passphrase,
// that identity is made by the first Unlock and rests in a second file, NAME-key.age,
// encrypted with the passphrase alone (scrypt). So the slow scrypt is paid once
// at Unlock and not at each write, the passphrase itself need not be kept, and
// both files open with the age program: age -d -i store-key.age store.age.
type File struct {
	opts FileOptions

	unlocking chan struct{} // one scrypt at a time, outside mu: it is slow and takes memory

	mu       sync.Mutex
	identity identity // from the passphrase; zero while locked
	shut     bool     // by Lock, whatever the source
}

// NewFile returns a file store. Nothing is read before the first call.
func NewFile(o FileOptions) *File {
	return &File{opts: o, unlocking: make(chan struct{}, 1)}
}

const (
	// lockPatience bounds the wait for another process that writes.
	lockPatience = 2 * time.Second
	lockPoll     = 10 * time.Millisecond
	// maxStore bounds the encrypted file, in bytes.
	maxStore     = 8 << 20
	storeVersion = 1
)

// State implements Store. It opens the file with the key, if it has the key.
func (f *File) State(context.Context) provider.StoreState {
	id, e := f.key()
	if e == nil {
		_, e = f.read(id)
	}
	if e != nil {
		return e.State
	}
	return provider.StoreState{Kind: provider.File, Status: provider.StoreReady, Detail: "the encrypted file " + f.opts.Path}
}

// Get implements Store.
func (f *File) Get(_ context.Context, profile string, _ provider.Prompt) (provider.Credential, error) {
	var none provider.Credential
	id, e := f.key()
	if e != nil {
		return none, e
	}
	items, e := f.read(id)
	if e != nil {
		return none, e
	}
	doc, ok := items[profile]
	if !ok {
		return none, provider.ErrNoSecret
	}
	return openItem(provider.File, profile, string(doc))
}

// Put implements Store.
func (f *File) Put(ctx context.Context, profile string, c provider.Credential, _ provider.Prompt) error {
	doc, err := encodeItem(provider.File, c)
	if err != nil {
		return err
	}
	return f.change(ctx, func(items map[string]json.RawMessage) bool {
		items[profile] = json.RawMessage(doc)
		return true
	})
}

// Delete implements Store.
func (f *File) Delete(ctx context.Context, profile string, _ provider.Prompt) error {
	return f.change(ctx, func(items map[string]json.RawMessage) bool {
		_, had := items[profile]
		delete(items, profile)
		return had
	})
}

// change reads, edits and writes the file while no other process does. A file
// that could not be read is never overwritten. edit reports whether there is
// anything to write.
func (f *File) change(ctx context.Context, edit func(map[string]json.RawMessage) bool) error {
	id, e := f.key()
	if e != nil {
		return e
	}
	release, e := f.exclude(ctx)
	if e != nil {
		return e
	}
	defer release()
	items, e := f.read(id)
	if e != nil {
		return e
	}
	if !edit(items) {
		return nil
	}
	if e := f.write(id, items); e != nil {
		return e
	}
	return nil
}

// exclude keeps other writers, in this process and in others, out until
// release is called.
func (f *File) exclude(ctx context.Context) (release func(), e *provider.StoreError) {
	dir := filepath.Dir(f.opts.Path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, unavailable(provider.File, "can't make the folder of the file store: "+plain(err), "check "+dir, err)
	}
	if e := checkDir(dir); e != nil {
		return nil, e
	}
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	// A new one each time, since one Flock is held once per process.
	l := flock.New(f.opts.Path+".lock", flock.SetPermissions(0o600))
	if ok, err := l.TryLockContext(ctx, lockPoll); !ok {
		if ctx.Err() != nil {
			return nil, unavailable(provider.File, "another process keeps the file store locked", "see who has "+l.Path()+" open", err)
		}
		return nil, unavailable(provider.File, "can't lock the file store: "+plain(err), "check "+l.Path(), err)
	}
	atomicfile.Sweep(f.opts.Path)
	return func() { _ = l.Unlock() }, nil
}

// read opens the file. One that is missing is empty.
func (f *File) read(id identity) (map[string]json.RawMessage, *provider.StoreError) {
	data, err := atomicfile.Read(f.opts.Path, maxStore)
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]json.RawMessage{}, nil
	}
	if err != nil {
		return nil, unavailable(provider.File, "the file store can't be read: "+plain(err), "check "+f.opts.Path, err)
	}
	text, err := id.decrypt(data)
	if err != nil {
		if _, ok := errors.AsType[*age.NoIdentityMatchError](err); ok {
			return nil, unavailable(provider.File, f.opts.Path+" is encrypted to another key than the one in "+f.source(),
				"give the key that it was made with, or move it away and log in again", err)
		}
		return nil, unavailable(provider.File, f.opts.Path+" is truncated, or was tampered with",
			"restore it from a backup, or move it away and log in again", err)
	}
	items, err := parseStore(text)
	if err != nil {
		return nil, unavailable(provider.File, f.opts.Path+" was written by another version of this program, or is damaged",
			"upgrade this program, or move the file away and log in again", err)
	}
	return items, nil
}

func (f *File) write(id identity, items map[string]json.RawMessage) *provider.StoreError {
	fail := func(err error) *provider.StoreError {
		return unavailable(provider.File, "the file store can't be written: "+plain(err),
			"check the space and the rights in "+filepath.Dir(f.opts.Path), err)
	}
	text, err := formatStore(items)
	if err != nil {
		return fail(err)
	}
	data, err := id.encrypt(text)
	if err != nil {
		return fail(err)
	}
	if len(data) > maxStore {
		return fail(fmt.Errorf("longer than %d MiB", maxStore>>20))
	}
	if err := atomicfile.Write(f.opts.Path, data); err != nil {
		return fail(err)
	}
	return nil
}

// plain is the text of an error of the file system without the path, which
// may be a temporary one.
func plain(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	} else if e, ok := errors.AsType[*os.LinkError](err); ok {
		err = e.Err
	}
	return oneLine(err.Error())
}
