package agent

import (
	"context"
	"sync"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
)

// account is what the agent holds in memory for one profile.
type account struct {
	name string

	// turn holds one token: whoever takes it may exchange the secret. There is
	// one exchange under way for each profile, whatever it is for.
	turn chan struct{}

	// change serialises login, logout, rename and removal. It may be held
	// across the store and is never taken for a token.
	change chan struct{}

	mu           sync.Mutex // held for moments only
	generation   uint64     // rises when the secret changes; older answers are dropped
	slots        map[key]*slot
	trouble      *trouble // of the plain exchange, which speaks for all
	passcode     bool     // the plain exchange is refused for want of a passcode
	lastExchange Instant  // when the last one was sent
	exchanged    bool     // there was one
	lastError    *ipc.Error
	exchanges    int64
	hits         int64
}

// slot is one cached token with what is under way for it.
type slot struct {
	up     provider.Request // what goes to the server, but for a passcode
	entry  *entry
	usage  usage
	looked time.Duration // boot time at which Run looks at it again
	// running has begun its exchange; queued waits for its turn. A caller who
	// wants a fresh token can join only queued: running may have been answered
	// before that caller asked.
	running, queued *flight
	trouble         *trouble // of an exchange with its own scope, held against that scope alone
}

// maxSlots bounds the scopes that are cached for one profile.
const maxSlots = 64

func newAccount(name string) *account {
	acct := &account{
		name:   name,
		turn:   make(chan struct{}, 1),
		change: make(chan struct{}, 1),
		slots:  map[key]*slot{},
	}
	acct.turn <- struct{}{}
	acct.change <- struct{}{}
	return acct
}

// slot returns the slot of a request, and makes room for it by dropping the one that
// was asked for least recently. The caller holds mu.
func (acct *account) slot(up provider.Request) *slot {
	k := keyOf(up)
	s := acct.slots[k]
	if s != nil {
		return s
	}
	if len(acct.slots) >= maxSlots {
		var oldest key
		var found *slot
		for k, s := range acct.slots {
			if s.running == nil && s.queued == nil && (found == nil || s.usage.lastAsked.Boot < found.usage.lastAsked.Boot) {
				oldest, found = k, s
			}
		}
		if found != nil {
			delete(acct.slots, oldest)
		}
	}
	up.Passcode = secret.Text{}
	s = &slot{up: up}
	acct.slots[k] = s
	return s
}

// forget drops every token and every memory of failures, and makes the answers
// of exchanges under way count for nothing. keep, which may be nil, becomes
// the token of the request up.
func (acct *account) forget(keep *entry, up provider.Request) {
	acct.mu.Lock()
	defer acct.mu.Unlock()
	acct.generation++
	acct.slots = map[key]*slot{}
	acct.trouble, acct.lastError, acct.passcode = nil, nil, false
	if keep != nil {
		acct.slot(up).entry = keep
		acct.lastExchange, acct.exchanged = keep.obtained, true
	}
}

// take waits for a turn or for the change lock until ctx ends.
func take(ctx context.Context, c chan struct{}) error {
	select {
	case <-c:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// flight is one exchange, from the moment somebody wants it. Its result is
// read after done is closed.
type flight struct {
	done       chan struct{}
	hurry      chan struct{} // somebody waits now: no pause
	pause      time.Duration // before it begins
	background bool          // nobody waits for it
	prompt     bool          // somebody who can answer a keychain's dialog does

	entry *entry
	err   error // *ipc.Error, or errSuperseded
}

func newFlight(background bool) *flight {
	return &flight{done: make(chan struct{}), hurry: make(chan struct{}, 1), background: background}
}

// join is called by whoever is going to wait for the flight. The caller holds
// the account's mu.
func (f *flight) join(interactive bool) *flight {
	f.prompt = f.prompt || interactive
	select {
	case f.hurry <- struct{}{}:
	default:
	}
	return f
}

// flightTime bounds an exchange with all its retries and the reading of the
// secret. It is the exchange's own: no caller's deadline shortens it.
const flightTime = 30 * time.Second
