package agent

import (
	"errors"
	"time"

	"github.com/cspctl/cspctl/internal/provider"
)

// maxFloor is the default floor: the life that a token must have left to be
// handed out when the caller asked for nothing else.
const maxFloor = 5 * time.Minute

// life is how long a token may be served.
type life struct {
	obtained Instant       // when its exchange was sent
	end      Instant       // when it expires
	total    time.Duration // from obtained to end: what the server could give
}

// floor is the default minimum life: five minutes, or a third of the token's
// life where that is less.
func (l life) floor() time.Duration { return min(maxFloor, l.total/3) }

// left is the life that the token has at now. A wall clock that is stepped back
// does not make it younger, since the boot clock is not.
func (l life) left(now Instant) time.Duration { return l.end.Until(now) }

// renewAt is the life left at which renewal ahead begins: twice the floor or
// half the life, whichever is less, or earlier where recent callers asked for
// more. wanted is the longest life that they asked for, 0 for none.
func (l life) renewAt(wanted time.Duration) time.Duration {
	ahead := min(2*l.floor(), l.total/2)
	if wanted > 0 && wanted < l.total {
		ahead = max(ahead, wanted+min(time.Minute, (l.total-wanted)/2))
	}
	return ahead
}

// minInterval is the least time between two renewals that nobody waits for,
// also when the server hands the same token back each time.
func (l life) minInterval() time.Duration {
	if l.total == 0 {
		return time.Minute // it is not known
	}
	return min(max(l.total/10, 100*time.Millisecond), time.Minute)
}

// errNoLife: the answer does not tell how long the token lives.
var errNoLife = errors.New("the life of the token is not known")

// errBornDead: by the server's own clock, the token is at its end.
var errBornDead = errors.New("the server handed out a token that has expired, or is about to")

// longestLife is what a token is believed to live at most; more is absurd.
const longestLife = 365 * day

// cut: Date and the claims are cut to the second, so the server's clock may be
// nearly a second further than they say.
const cut = time.Second

// lifeOf works out the life of a token from everything that its answer said:
// expires_in counts from the moment the request was sent; the exp claim is
// read by the server's clock, which the Date header tells; the shortest wins.
// It returns errNoLife if nothing usable was said.
func lifeOf(t provider.Token, sent Instant) (life, error) {
	total, known := longestLife, false
	atMost := func(d time.Duration) { total, known = min(total, d), true }
	if t.ExpiresIn > 0 {
		atMost(t.ExpiresIn)
	}
	if exp := t.ExpiresAt; !exp.IsZero() {
		switch {
		case !t.ServerTime.IsZero():
			// It was stamped after sent, so counting from sent errs on the
			// safe side.
			atMost(exp.Sub(t.ServerTime) - cut)
		case t.ExpiresIn <= 0:
			// Without Date, this machine's clock must do.
			atMost(exp.Sub(sent.Wall))
		}
		if exp.After(t.IssuedAt) && !t.IssuedAt.IsZero() {
			atMost(exp.Sub(t.IssuedAt) - cut)
		}
	}
	switch {
	case !known:
		return life{}, errNoLife
	case total <= 0:
		return life{}, errBornDead
	}
	return life{sent, sent.Add(total), total}, nil
}
