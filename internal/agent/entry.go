package agent

import (
	"math/rand/v2"
	"time"

	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
)

// key tells the cached tokens of a profile apart.
type key struct {
	scope         string // space-separated, as asked
	resourceScope string
}

// entry is a cached token. It is never changed once it is in the cache.
type entry struct {
	life
	access, id   secret.Text
	scope        string        // as the server said
	unknown      bool          // its life is not known: handed to those who waited, not cached
	idShorter    time.Duration // how much earlier than the access token the ID token expires
	claimsExpiry bool          // the end comes from the token's own exp claim
	jitter       time.Duration // renewal begins this much earlier, so that profiles spread out
}

func newEntry(t provider.Token, l life, unknown bool) *entry {
	e := &entry{life: l, access: t.Access, id: t.ID, scope: t.Scope, unknown: unknown,
		claimsExpiry: !t.ExpiresAt.IsZero() && !t.ServerTime.IsZero()}
	if c, err := provider.ReadClaims(t.ID.Reveal()); err == nil && !t.ExpiresAt.IsZero() && !c.ExpiresAt.IsZero() {
		e.idShorter = max(0, t.ExpiresAt.Sub(c.ExpiresAt))
	}
	if spread := min(l.total/20, 30*time.Second); spread > 0 {
		e.jitter = rand.N(spread)
	}
	return e
}

// again is the life of a token that the server handed out before. An opaque
// token whose answer states a full life each time is not believed: it expires
// when the first answer said, as long as that is still ahead.
func (e *entry) again(first life, now Instant) life {
	l := e.life
	if left := first.left(now); !e.claimsExpiry && left > 0 && left < l.left(now) {
		l.end, l.total = first.end, left
	}
	return l
}

// good reports whether the token may be handed out at now with at least need
// left; a need of 0 means the floor.
func (e *entry) good(now Instant, need time.Duration) bool {
	if e == nil || e.unknown {
		return false
	}
	left := e.left(now)
	return left > 0 && left >= e.required(need)
}

// required is the life that a caller who asked for need must be given.
func (e *entry) required(need time.Duration) time.Duration {
	if need > 0 {
		return need
	}
	return e.floor()
}

// usage is how a cached token is asked for.
type usage struct {
	lastAsked Instant
	asked     bool
	wanted    time.Duration // the longest life asked for of late
	wantedAt  Instant
}

func (u *usage) note(now Instant, need time.Duration) {
	u.asked, u.lastAsked = true, now
	if need > 0 && (need >= u.wanted || u.wanted > 0 && u.wantedAt.Since(now) > maxWantedAge) {
		u.wanted, u.wantedAt = need, now
	}
}

// maxWantedAge is how long a caller's wish for more life is remembered.
const maxWantedAge = time.Hour

func (u *usage) wantedNow(now Instant) time.Duration {
	if u.wanted > 0 && u.wantedAt.Since(now) <= maxWantedAge {
		return u.wanted
	}
	return 0
}

// renewalIn says how long to wait until the token is to be renewed ahead, and
// false if nobody asked for it within its last life. lastExchange is when the
// profile's last exchange was sent.
func (e *entry) renewalIn(now, lastExchange Instant, u *usage) (time.Duration, bool) {
	if e == nil || e.unknown || !u.asked || u.lastAsked.Since(now) >= e.total {
		return 0, false
	}
	in := e.left(now) - e.renewAt(u.wantedNow(now)) - e.jitter
	return max(in, e.minInterval()-lastExchange.Since(now), 0), true
}
