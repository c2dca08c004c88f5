// Package agent is the heart of csp-agent: profiles, the cache of access
// tokens, and their renewal.
//
// A call to [Agent.Token] is answered from the cache while the token there has
// enough life left; that needs no network, no store and no lock that is held
// across either. Otherwise the caller joins the one exchange that is under way
// for the profile, or starts it. Exchanges run on their own goroutine with
// their own deadline, so a caller that gives up fails nobody else. [Agent.Run]
// renews the tokens of profiles in use before they run out.
//
// Each profile has an account: its cache, and what is under way for it. Where
// the secret is replaced or moved, the profile gets another account in the same
// step, and what belongs to the old one is never seen again.
//
// The package speaks no protocol and opens no file: providers, stores, the
// state file and the clock are given to [New].
package agent

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cspctl/cspctl/internal/agent/expiry"
	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
)

// Provider turns a stored secret into access tokens. Its methods may be called
// at the same time, and return *provider.Error for what the server did.
type Provider interface {
	// Origin normalises a server as people write it; empty means the
	// provider's own default.
	Origin(server string) (string, error)
	// CheckSecret cleans a secret as people paste it, or says what is wrong.
	CheckSecret(pasted string) (secret.Text, error)
	Exchange(ctx context.Context, c provider.Credential, r provider.Request) (provider.Token, error)
	// Details returns provider.ErrNoDetails where the system tells none.
	Details(ctx context.Context, c provider.Credential) (provider.Details, error)
	// CloseIdle drops connections that did not survive a suspend.
	CloseIdle()
}

// Store keeps secrets, one for each profile. Its methods are bounded in time,
// and return provider.ErrNoSecret or *provider.StoreError. A Put or Delete
// that fails leaves what was there.
type Store interface {
	Get(ctx context.Context, profile string, p provider.Prompt) (provider.Credential, error)
	Put(ctx context.Context, profile string, c provider.Credential, p provider.Prompt) error
	Delete(ctx context.Context, profile string, p provider.Prompt) error
	State(ctx context.Context) provider.StoreState
}

// StateFile keeps the profiles across restarts; it holds no secret.
type StateFile interface {
	Path() string
	Read() ([]byte, error) // nil if there is none yet
	Write([]byte) error    // atomic and durable
	// Lock keeps other agents from writing until unlock is called. It is
	// bounded in time.
	Lock() (unlock func(), err error)
}

// Options are the parts that an Agent is made of. All are needed, but for
// Exclusive, Verify, Publish, Stages, Passphrase, DefaultStore and Log.
type Options struct {
	Providers map[string]Provider // by their name in package provider
	Stores    map[string]Store    // by their kind in package provider
	State     StateFile
	Clock     Clock

	// Exclusive keeps other agents on the same stores from exchanging, storing
	// and deleting the secret of a profile, until release is called. Nil: there
	// are none.
	Exclusive func(ctx context.Context, profile string) (release func(), err error)

	// Verify checks the signature of a JWT against a server's public keys, as
	// KeyPublisher returns them. It returns provider.ErrSignature where the
	// signature is wrong, and another error where it can't tell. Nil: no
	// signature is checked.
	Verify func(token string, keys []byte) error

	// Publish is told of every event. It must not wait. Nil: nobody is told.
	Publish func(ipc.Event)

	// Stages are the stages of warning for a profile, by the settings. Nil:
	// expiry.Default.
	Stages func(profile string) expiry.Stages

	// Passphrase makes of a passphrase the check of others against it. Both take
	// long, on purpose. Nil: none but the file store's can unlock the agent.
	Passphrase func(secret.Text) (matches func(secret.Text) bool, err error)

	// DefaultStore is the kind that a login uses which names none:
	// provider.Keychain if empty.
	DefaultStore func() string
	Log          *slog.Logger
}

// Agent is a running agent. Its methods may be called at the same time.
type Agent struct {
	Options
	started Instant
	mono    time.Time // taken with started; see awake
	state   *state

	sleep sleep

	ctx    context.Context // ends all exchanges
	cancel context.CancelFunc
	wake   chan struct{} // tells Run that the next renewal may be earlier

	tidying atomic.Bool // see tidy

	period  atomic.Pointer[period] // whether it is locked
	locking locking

	looking sync.Mutex // held for moments
	looked  *look      // the latest at the keychain

	mu      sync.Mutex // held for moments, and never for a token in the cache
	closed  bool
	work    sync.WaitGroup           // exchanges under way
	changes map[string]chan struct{} // by profile: one change at a time; see lock
}

// New makes an agent and reads its state. A state file that cannot be used
// does not keep the agent from running: every call that needs it says so, and
// tries again.
func New(o Options) (*Agent, error) {
	if o.State == nil || o.Clock == nil || len(o.Providers) == 0 || len(o.Stores) == 0 {
		return nil, fmt.Errorf("agent: options are missing")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Publish == nil {
		o.Publish = func(ipc.Event) {}
	}
	a := &Agent{
		Options: o,
		started: o.Clock.Now(),
		mono:    time.Now(),
		state:   &state{file: o.State, clock: o.Clock},
		wake:    make(chan struct{}, 1),
		changes: map[string]chan struct{}{},
	}
	a.sleep.seen = a.started
	a.period.Store(newPeriod(false))
	a.locking.turn = make(chan struct{}, 1)
	a.locking.turn <- struct{}{}
	if _, bad := a.state.load(); bad != nil {
		o.Log.Error("the state file cannot be used", "path", o.State.Path(), "err", bad)
	}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	return a, nil
}

// Close ends every exchange and waits for them. Calls that come later are
// answered with an error, unless the cache has what they ask for.
func (a *Agent) Close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.cancel()
	a.work.Wait()
}

// spawn runs f on its own goroutine, which Close waits for. It returns false,
// and does nothing, once the agent is closed.
func (a *Agent) spawn(f func()) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return false
	}
	a.work.Go(f)
	return true
}

// find returns the settings of a profile; an empty name means the default one.
func (a *Agent) find(name string) (Record, *ipc.Error) {
	if name != "" {
		if bad := ipc.CheckName(name); bad != nil {
			return Record{}, bad
		}
	}
	return a.state.get(name)
}

// take waits for a turn or for a lock until ctx ends.
func take(ctx context.Context, c chan struct{}) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case <-c:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
