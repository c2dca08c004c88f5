package agent

import (
	"context"
	"errors"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
)

// leastAge is the least age at which a token is replaced for who asks for a
// younger one.
const leastAge = time.Minute

// better reports whether a token that is good has what the caller would rather
// have, too.
func (e *entry) better(now Instant, q ask) bool {
	switch {
	case q.maxAge > 0 && e.obtained.Since(now) >= q.maxAge:
		return false
	case q.half:
		return e.left(now) >= min(e.total/2, e.gave)
	}
	return true
}

// betterTime bounds the wait for a token that is better than the one in the
// cache, which is good.
const betterTime = 5 * time.Second

// orOlder returns the token that is in the cache, if it is good and all that the
// caller wants beyond that is better; else err.
func (a *Agent) orOlder(s *slot, rec Record, req ipc.TokenRequest, q ask, err error) (ipc.Token, error) {
	if req.Fresh || !req.Passcode.IsZero() || !q.half && q.maxAge == 0 || errors.Is(err, errAgain) || errors.Is(err, errLocked) {
		return ipc.Token{}, err
	}
	now := a.Clock.Now()
	rec.account.mu.Lock()
	e := s.entry
	rec.account.mu.Unlock()
	if !e.good(now, q) {
		return ipc.Token{}, err
	}
	return a.answer(e, rec, req, q, now)
}

// errLate: a flight has not ended within the caller's patience.
var errLate = errors.New("the exchange takes long")

// arrive waits for the end of a flight; late, if not nil, ends the wait.
func (f *flight) arrive(ctx context.Context, p *period, late <-chan time.Time, profile string) error {
	select {
	case <-f.done:
		return nil
	case <-late:
		return errLate
	case <-p.ctx.Done():
		return errLocked
	case <-ctx.Done():
		return errorf(ipc.CodeUnreachable, "try again", "no answer in time for profile %s", profile)
	}
}
