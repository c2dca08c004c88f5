package agent

import (
	"context"
	"sync"

	"github.com/cspctl/cspctl/internal/agent/expiry"
	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
)

// account is what the agent holds in memory for the secret of one profile. It
// hangs from the profile's Record, which gets another one when the secret is
// replaced, removed or renamed.
type account struct {
	name string // the profile's

	// turn holds one token: whoever takes it may exchange the secret, or put
	// another account in this one's place. So there is one exchange under way
	// for each profile, whatever it is for, and none while its secret changes.
	turn chan struct{}

	// proxyTurn is the same for the token of a session's proxies, which is
	// asked for with an access token.
	proxyTurn chan struct{}

	mu       sync.Mutex // held for moments only
	proxy    *proxyEntry
	slots    map[key]*slot
	trouble  *trouble // of the profile's own exchange, which speaks for all
	passcode bool     // an exchange takes a passcode: it can't be renewed ahead
	// interrupt ends the exchange under way; nil if there is none. ending says
	// that no other may begin: the secret is about to be thrown away.
	interrupt context.CancelCauseFunc
	ending    bool
	wipes     int // how often all that was cached was wiped; an exchange that began before keeps nothing
	// unsaved is a secret that came from the server and could not be stored;
	// see Rotator.
	unsaved *provider.Credential
	worked  bool // an exchange of the secret succeeded
	// trial: a login waits to hear whether this very secret is good.
	trial bool

	// asking is the question for details under way; hushed is the trouble that
	// the last one met with. Neither says anything about exchanges.
	asking *inquiry
	hushed *trouble
	shell  expiry.Told // what was told on a terminal last; the state may lag behind

	callers callers // who named themselves

	// The rest is for people who look at the status.
	lastError    *ipc.Error
	lastExchange Instant // when it was sent
	exchanges    int64
	hits         int64
	misses       int64
}

// slot is one cached token with what is under way for it.
type slot struct {
	up    provider.Request // what goes to the server, but for a passcode
	entry *entry
	last  *entry // what the last exchange gave, in the cache or not
	usage usage
	// running has begun its exchange; queued waits for its turn. A caller who
	// wants a fresh token can join only queued: running may have been answered
	// before that caller asked.
	running, queued *flight
	trouble         *trouble // of an exchange with its own scope, held against that scope alone
	looked          Instant  // when Run looks at it again, at the latest
}

// maxSlots bounds the scopes that are cached for one profile.
const maxSlots = 64

// newAccount makes the account of a profile, with the refusal that was
// remembered for its secret, if any.
func newAccount(name string, r *Refusal, now Instant) *account {
	acct := &account{name: name, turn: make(chan struct{}, 1), proxyTurn: make(chan struct{}, 1), slots: map[key]*slot{}}
	acct.turn <- struct{}{}
	acct.proxyTurn <- struct{}{}
	if r != nil {
		acct.trouble = r.trouble(now)
		acct.passcode = acct.trouble.class == provider.PasscodeNeeded
		acct.lastError = r.Error
	}
	return acct
}

// newAccount makes the account of a profile under a name, with what was
// remembered of its secret.
func (r *Record) newAccount(name string, now Instant) *account {
	acct := newAccount(name, r.Refusal, now)
	if r.Unknown != nil {
		acct.hushed = r.Unknown.trouble(now)
	}
	return acct
}

// slot returns the slot of a request. It makes room by dropping the one that
// was asked for least recently, and fails if an exchange is under way for each
// of them. The caller holds mu.
func (acct *account) slot(up provider.Request) (*slot, *ipc.Error) {
	k := keyOf(up)
	if s := acct.slots[k]; s != nil {
		return s, nil
	}
	if len(acct.slots) >= maxSlots {
		var oldest key
		var found *slot
		for k, s := range acct.slots {
			if s.idle() && (found == nil || s.usage.lastAsked.Boot < found.usage.lastAsked.Boot) {
				oldest, found = k, s
			}
		}
		if found == nil {
			return nil, errorf(ipc.CodeBusy, "try again", "too many scopes of profile %s are being asked for at once", acct.name)
		}
		delete(acct.slots, oldest)
	}
	up.Passcode = secret.Text{}
	s := &slot{up: up}
	acct.slots[k] = s
	return s, nil
}

func (s *slot) idle() bool { return s.running == nil && s.queued == nil }

// receive puts the answer of an exchange into the cache, and returns it with
// the life that it is believed to have. replace says that the answer counts
// even where what is cached would live longer. It fails where the answer is a
// token that has come to its end.
func (s *slot) receive(e *entry, replace bool, now Instant) (*entry, error) {
	old := s.entry
	same := old != nil && old.access.Equal(e.access)
	if same && !e.unknown {
		var err error
		if e, err = e.again(old, now); err != nil {
			return nil, err
		}
	}
	s.last = e
	switch {
	case e.unknown && replace:
		s.entry = nil
	case e.unknown:
	case replace, same, old == nil, old.left(now) <= e.left(now):
		s.entry = e
	}
	return e, nil
}

// pardon forgets a permanent refusal.
func (acct *account) pardon() {
	acct.mu.Lock()
	defer acct.mu.Unlock()
	if acct.trouble != nil && acct.trouble.permanent() {
		acct.trouble, acct.passcode, acct.lastError = nil, false, nil
	}
}

// wipe drops every token. The caller holds the turn.
func (acct *account) wipe() {
	acct.mu.Lock()
	defer acct.mu.Unlock()
	acct.proxy = nil
	for _, s := range acct.slots {
		s.entry, s.last = nil, nil
	}
}

// stop ends the exchange under way, if there is one, and keeps others from
// beginning until on is called: whatever the server answers now, nobody will
// want it. Those who wait for an answer look again.
func (acct *account) stop() {
	acct.mu.Lock()
	defer acct.mu.Unlock()
	acct.ending = true
	if acct.interrupt != nil {
		acct.interrupt(errAgain)
	}
}

func (acct *account) on() {
	acct.mu.Lock()
	defer acct.mu.Unlock()
	acct.ending = false
}

// inherit takes over what people count from the account that was there before.
func (acct *account) inherit(old *account) {
	old.mu.Lock()
	exchanges, hits, misses, last := old.exchanges, old.hits, old.misses, old.lastExchange
	old.mu.Unlock()
	acct.mu.Lock()
	defer acct.mu.Unlock()
	acct.exchanges += exchanges
	acct.hits += hits
	acct.misses += misses
	if acct.lastExchange == (Instant{}) {
		acct.lastExchange = last
	}
}

// blocked returns the error that answers a call for the slot at now, or nil if
// it may go upstream. The caller holds mu.
func (acct *account) blocked(s *slot, now Instant, fresh, background bool) error {
	for _, t := range []*trouble{acct.trouble, s.trouble} {
		if e := t.blocks(now, fresh, background); e != nil {
			return e
		}
	}
	return nil
}
