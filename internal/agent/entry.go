package agent

import (
	"errors"
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

// ask is what a caller wants of a token.
type ask struct {
	id   bool          // the ID token, not the access token
	need time.Duration // the life that it must have left; 0: the floor

	// What is better, where it can be had.
	half   bool          // half of its life left
	maxAge time.Duration // exchanged no longer ago; 0: whenever
}

// entry is an answer of the server. It is never changed once others can see it.
type entry struct {
	life       // of the access token
	access, id secret.Text
	scope      string        // as the server said
	unknown    bool          // its life is not known: handed to those who waited, not cached
	gave       time.Duration // the life that it had left when it came in
	gone       Instant       // when it is dead, even if its life began as late as could be
	idLess     time.Duration // how much earlier than the access token the ID token ends
	jitter     time.Duration // renewal begins this much earlier, so that profiles spread out
	expires    bool          // it has the claim exp,
	claimed    bool          // and Date told how far away that is
	ahead      time.Duration // how far the server's clock is ahead, to the second
	dated      bool          // ahead is known: the answer had a Date
}

// newEntry makes an entry of the answer that came in at now to a request sent
// at sent. It fails if the token is of no use to anybody.
func newEntry(t provider.Token, sent, now Instant) (*entry, error) {
	e := &entry{access: t.Access, id: t.ID, scope: t.Scope, expires: !t.ExpiresAt.IsZero()}
	e.dated = !t.ServerTime.IsZero()
	e.claimed = e.expires && e.dated
	if e.dated {
		e.ahead = aheadOf(t.ServerTime, sent, now)
	}
	l, err := lifeOf(t, sent)
	switch {
	case errors.Is(err, errNoLife):
		e.unknown, e.obtained = true, sent
		return e, nil
	case err != nil:
		return nil, useless(err)
	}
	e.believe(l, now)
	e.gone = now.Add(l.total)
	e.idLess = idLess(t, l)
	return e, nil
}

func useless(err error) error {
	return &provider.Error{Class: provider.Transient, Message: err.Error(), Err: err,
		Hint: "check the clocks of the server and of whatever stands between"}
}

// believe sets the life of an entry that nobody else has seen yet.
func (e *entry) believe(l life, now Instant) {
	e.life = l
	e.gave = l.left(now)
	if spread := min(l.total/20, 30*time.Second); spread > 0 {
		e.jitter = rand.N(spread)
	}
}

// idLess is how much earlier than an access token of life l the ID token of
// the same answer ends.
func idLess(t provider.Token, l life) time.Duration {
	c, err := provider.ReadClaims(t.ID.Reveal())
	if err != nil || c.ExpiresAt.IsZero() {
		return 0
	}
	if !t.ExpiresAt.IsZero() { // both by the server's clock
		return min(max(0, t.ExpiresAt.Sub(c.ExpiresAt)), l.total)
	}
	id, err := lifeOf(provider.Token{IssuedAt: c.IssuedAt, ExpiresAt: c.ExpiresAt, ServerTime: t.ServerTime}, l.obtained)
	if err != nil {
		return l.total
	}
	return max(0, l.total-id.total)
}

// again is e, an answer with the same token as old, with the life that it is
// believed to have. Where the answer's end is not that of the claims by the
// server's own clock, a full life stated each time is not believed: the token
// ends when the first answer said. It fails at that end, but for an opaque
// token that is still handed out when it must be dead: the server extends it.
func (e *entry) again(old *entry, now Instant) (*entry, error) {
	if e.claimed {
		return e, nil
	}
	n := *e
	n.gone = old.gone
	left := old.left(now)
	switch {
	case left <= 0 && (e.expires || old.gone.Boot > now.Boot):
		return nil, useless(errBornDead)
	case left <= 0:
		return e, nil
	case left < e.left(now):
		n.believe(life{obtained: e.obtained, end: old.end, total: left}, now)
	}
	return &n, nil
}

// good reports whether the token may be handed out at now to a caller who asks
// for q.
func (e *entry) good(now Instant, q ask) bool {
	if e == nil || e.unknown {
		return false
	}
	left := e.left(now)
	return left > 0 && left >= e.required(q)
}

// required is the life that the access token must have left for a caller who
// asks for q: where that is the ID token, it may have to live longer than
// what is handed out.
func (e *entry) required(q ask) time.Duration {
	if e.unknown {
		return q.need // there is no floor to it
	}
	l, less := e.life, time.Duration(0)
	if q.id {
		less = e.idLess
		l.total -= less
	}
	if q.need > 0 {
		return q.need + less
	}
	return max(l.floor(), 1) + less
}

// wanted is what a caller asks for beyond the default: 0 if nothing.
func (e *entry) wanted(q ask) time.Duration {
	switch {
	case e != nil && !e.unknown && q.half:
		return max(e.total/2, e.required(q))
	case e != nil && (q.need > 0 || q.id && e.idLess > 0):
		return e.required(q)
	default:
		return q.need
	}
}

// usage is how a cached token is asked for.
type usage struct {
	lastAsked Instant
	asked     bool
	wanted    time.Duration // the longest life asked for of late
	wantedAt  Instant
}

func (u *usage) note(now Instant, wanted time.Duration) {
	u.asked, u.lastAsked = true, now
	if wanted > 0 && wanted >= u.wantedNow(now) {
		u.wanted, u.wantedAt = wanted, now
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
