package keychain

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/zalando/go-keyring"

	"github.com/cspctl/cspctl/internal/provider"
)

// Service is the name under which items are kept in the keychain; the account
// (user name) of an item is its profile.
const Service = "cspctl"

// The deadlines of calls to the keychain.
const (
	quickPatience  = 2 * time.Second  // nobody is asked
	promptPatience = 30 * time.Second // a person may be typing a password
	statePatience  = time.Second
)

// Keychain is the keychain of the operating system: the Secret Service over
// D-Bus, the macOS Keychain, or the Windows Credential Manager, through
// zalando/go-keyring. That library blocks without end where a prompt stays
// unanswered, leaks goroutines where a collection is locked, panics where the
// bus dies, and starts a D-Bus daemon where there is none. Keychain does not:
//
//   - a probe over a connection of its own, which never prompts, comes first,
//     and keeps hopeless calls from being made;
//   - calls run one at a time, each with a deadline, and are given up at it;
//   - a write that was given up and lands late is undone.
type Keychain struct {
	sys           system
	lane          *lane
	doubts        *doubts
	quick, prompt time.Duration // deadlines

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	work   sync.WaitGroup // what goes on behind

	mu       sync.Mutex
	watching map[string]bool // profiles with a watch under way
}

// A system is the keychain of one operating system. Its calls may block and
// panic; they run one at a time.
type system interface {
	// probe tells the condition of the keychain before ctx ends. It never
	// prompts, and may be called at any time.
	probe(ctx context.Context) provider.StoreState

	get(ctx context.Context, profile string, p provider.Prompt) (string, error) // keyring.ErrNotFound
	set(ctx context.Context, profile, doc string, p provider.Prompt) error
	remove(ctx context.Context, profile string, p provider.Prompt) error // keyring.ErrNotFound

	// interrupt makes the call under way come back, if it can be done.
	interrupt()
	// explain makes a StoreError of an error of this system; nil if it can't.
	explain(err error) *provider.StoreError
	close()
}

// errLocked is returned by a system whose keychain would have to prompt,
// before anything was sent.
var errLocked = errors.New("locked")

// errNotKept: what was read back is not what was written.
var errNotKept = errors.New("the keychain did not keep what was written")

// An Option changes a Keychain.
type Option func(*options)

type options struct {
	service       string
	quick, prompt time.Duration
}

// WithService keeps the items under another name than [Service], so that
// tests on a real keychain don't touch a person's items.
func WithService(name string) Option { return func(o *options) { o.service = name } }

// WithPatience sets the deadlines of calls that may not prompt and of those
// that may.
func WithPatience(quick, prompt time.Duration) Option {
	return func(o *options) { o.quick, o.prompt = quick, prompt }
}

// NewKeychain returns the keychain of the operating system. Nothing is
// touched before the first call.
func NewKeychain(opts ...Option) *Keychain {
	o := options{Service, quickPatience, promptPatience}
	for _, opt := range opts {
		opt(&o)
	}
	return newKeychain(newSystem(o.service), o)
}

func newKeychain(sys system, o options) *Keychain {
	ctx, cancel := context.WithCancel(context.Background())
	return &Keychain{sys: sys, lane: newLane(), doubts: newDoubts(), quick: o.quick, prompt: o.prompt,
		ctx: ctx, cancel: cancel, watching: map[string]bool{}}
}

// Close ends what goes on behind and lets go of the keychain. Calls under way
// are interrupted.
func (k *Keychain) Close() error {
	k.cancel()
	k.work.Wait()
	k.sys.close()
	return nil
}

// State implements Store.
func (k *Keychain) State(ctx context.Context) provider.StoreState {
	ctx, cancel := context.WithTimeout(ctx, statePatience)
	defer cancel()
	if err := k.lane.admit(); err != nil {
		return k.failure(provider.NoPrompt, provider.StoreState{}, err).State
	}
	return k.sys.probe(ctx)
}

// Get implements Store.
func (k *Keychain) Get(ctx context.Context, profile string, p provider.Prompt) (provider.Credential, error) {
	doc, err := k.get(ctx, profile, p)
	if err != nil {
		return provider.Credential{}, err
	}
	return openItem(provider.Keychain, profile, doc)
}

func (k *Keychain) get(ctx context.Context, profile string, p provider.Prompt) (string, error) {
	var doc, restored string
	var restoring bool
	err := k.do(ctx, p, job{
		call: func(ctx context.Context) error {
			got, err := k.sys.get(ctx, profile, p)
			if err != nil && !errors.Is(err, keyring.ErrNotFound) {
				return err
			}
			want, overtaken := k.doubts.judge(profile, got)
			if !overtaken {
				doc = got
				return err
			}
			if ctx.Err() != nil { // given up: newer calls may be under way
				return ctx.Err()
			}
			doc, restored, restoring = want, want, true
			k.doubts.begin(profile, want)
			return k.write(ctx, profile, want, p)
		},
		settle: func(err error) {
			if err == nil && restoring {
				k.doubts.succeeded(profile, restored)
			}
		},
	})
	switch {
	case err != nil: // doc may still be written to
		return "", err
	case doc == "":
		return "", provider.ErrNoSecret
	}
	return doc, nil
}

// Put implements Store.
func (k *Keychain) Put(ctx context.Context, profile string, c provider.Credential, p provider.Prompt) error {
	doc, err := encodeItem(provider.Keychain, c)
	if err != nil {
		return err
	}
	return k.change(ctx, profile, doc, p)
}

// Delete implements Store.
func (k *Keychain) Delete(ctx context.Context, profile string, p provider.Prompt) error {
	return k.change(ctx, profile, "", p)
}

// change makes doc the item of a profile, or removes it if doc is empty.
func (k *Keychain) change(ctx context.Context, profile, doc string, p provider.Prompt) error {
	return k.do(ctx, p, job{
		call: func(ctx context.Context) error {
			k.doubts.begin(profile, doc)
			return k.write(ctx, profile, doc, p)
		},
		settle: func(err error) {
			switch {
			case err == nil:
				if k.doubts.succeeded(profile, doc) {
					k.watch(profile, time.Second, 10*time.Second, time.Minute)
				}
			case errors.Is(err, errLocked), errors.Is(err, keyring.ErrSetDataTooBig):
				k.doubts.refused(profile, doc)
			}
		},
		late: func() { k.watch(profile, 0) },
	})
}

// write runs in a job. It reads back what it wrote: `security -i` on macOS
// reports success where it failed.
func (k *Keychain) write(ctx context.Context, profile, doc string, p provider.Prompt) error {
	if doc == "" {
		err := k.sys.remove(ctx, profile, p)
		if errors.Is(err, keyring.ErrNotFound) {
			err = nil
		}
		return err
	}
	if err := k.sys.set(ctx, profile, doc, p); err != nil {
		return err
	}
	got, err := k.sys.get(ctx, profile, p)
	if err == nil && got != doc || errors.Is(err, keyring.ErrNotFound) {
		err = errNotKept
	}
	return err
}

// watch reads a profile again after each of the delays, which undoes a late
// write.
func (k *Keychain) watch(profile string, delays ...time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.watching[profile] || k.ctx.Err() != nil {
		return
	}
	k.watching[profile] = true
	k.work.Go(func() {
		defer func() {
			k.mu.Lock()
			delete(k.watching, profile)
			k.mu.Unlock()
		}()
		for _, d := range delays {
			select {
			case <-time.After(d):
			case <-k.ctx.Done():
				return
			}
			// The error is the next caller's to see.
			_, _ = k.get(k.ctx, profile, provider.NoPrompt)
		}
	})
}

// do runs a job with a deadline, after the probe, and makes its errors those
// of Store.
func (k *Keychain) do(ctx context.Context, p provider.Prompt, j job) error {
	ctx, cancel := context.WithTimeout(ctx, k.patience(p))
	defer cancel()
	defer context.AfterFunc(k.ctx, cancel)()
	if err := k.lane.admit(); err != nil {
		return k.failure(p, provider.StoreState{}, err)
	}
	state := k.sys.probe(ctx)
	if state.Status == provider.StoreUnavailable || state.Status == provider.StoreLocked && p == provider.NoPrompt {
		return &provider.StoreError{State: state, Err: ctx.Err()}
	}
	j.interrupt = k.sys.interrupt
	switch err := k.lane.do(ctx, j); {
	case err == nil:
		return nil
	case errors.Is(err, keyring.ErrNotFound):
		return provider.ErrNoSecret
	default:
		return k.failure(p, state, err)
	}
}

func (k *Keychain) patience(p provider.Prompt) time.Duration {
	if p == provider.MayPrompt {
		return k.prompt
	}
	return k.quick
}
