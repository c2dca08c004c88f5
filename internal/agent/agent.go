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
// The package speaks no protocol and opens no file: providers, stores, the
// state file and the clock are given to [New].
package agent

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

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
// and return provider.ErrNoSecret or *provider.StoreError.
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
}

// Options are the parts that an Agent is made of. All are needed, but for
// DefaultStore and Log.
type Options struct {
	Providers map[string]Provider // by their name in package provider
	Stores    map[string]Store    // by their kind in package provider
	State     StateFile
	Clock     Clock

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

	state    *state
	renaming sync.Mutex

	mu       sync.Mutex
	accounts map[string]*account
	asleep   time.Duration // how long the machine has slept since the start

	ctx    context.Context // ends all exchanges
	cancel context.CancelFunc
	wg     sync.WaitGroup // exchanges and renewals under way
	wake   chan struct{}  // tells Run that the next renewal may be earlier
}

// New makes an agent and reads its state. A state file that cannot be used
// does not keep the agent from running: every call that needs it says so.
func New(o Options) (*Agent, error) {
	if o.State == nil || o.Clock == nil || len(o.Providers) == 0 || len(o.Stores) == 0 {
		return nil, fmt.Errorf("agent: options are missing")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	a := &Agent{
		Options:  o,
		started:  o.Clock.Now(),
		mono:     time.Now(),
		state:    openState(o.State),
		accounts: map[string]*account{},
		wake:     make(chan struct{}, 1),
	}
	if a.state.err != nil {
		o.Log.Error("the state file cannot be used", "path", o.State.Path(), "err", a.state.err)
	}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	for name, rec := range a.state.Profiles {
		if rec.Refusal != nil && rec.Refusal.Error != nil {
			a.account(name).recall(rec.Refusal, a.started)
		}
	}
	return a, nil
}

// Close ends every exchange and waits for them.
func (a *Agent) Close() {
	a.cancel()
	a.wg.Wait()
}

// account returns the account of a profile, which need not exist.
func (a *Agent) account(name string) *account {
	a.mu.Lock()
	defer a.mu.Unlock()
	acct := a.accounts[name]
	if acct == nil {
		acct = newAccount(name)
		a.accounts[name] = acct
	}
	return acct
}

// find returns the account and settings of a profile; an empty name means the
// default one.
func (a *Agent) find(name string) (*account, Record, *ipc.Error) {
	if name != "" {
		if err := ipc.CheckName(name); err != nil {
			return nil, Record{}, err
		}
	}
	name, rec, err := a.state.get(name)
	if err != nil {
		return nil, Record{}, err
	}
	return a.account(name), rec, nil
}

// awake drops idle connections if the machine has slept since the last call:
// their other ends may be gone, and a request on one would hang (the timers
// behind mono stand still in suspend, the boot clock does not). It reports
// whether it did.
func (a *Agent) awake(now Instant) bool {
	asleep := a.started.Since(now) - time.Since(a.mono)
	a.mu.Lock()
	slept := asleep-a.asleep > suspendNoticed
	if slept {
		a.asleep = asleep
	}
	a.mu.Unlock()
	if slept {
		a.Log.Info("the machine has slept; dropping idle connections")
		for _, p := range a.Providers {
			p.CloseIdle()
		}
	}
	return slept
}

const suspendNoticed = 5 * time.Second
