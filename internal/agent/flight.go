package agent

import (
	"context"
	"errors"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
)

// flight is one exchange, from the moment somebody wants it. Those who board
// it wait for done, and then read its result.
type flight struct {
	done  chan struct{}
	hurry chan struct{} // somebody waits now: no pause
	pause time.Duration // before it begins

	// Until it begins, these change with whoever joins, under the account's mu.
	background bool // nobody waits for it
	fresh      bool // somebody wants the answer, whatever is cached
	prompt     bool // somebody who can answer a keychain's dialog waits

	prompted provider.Prompt // prompt, as it was when the secret was read
	wipes    int             // the account's, when it began
	entry    *entry
	err      error // *ipc.Error, or errAgain
}

func newFlight() *flight {
	return &flight{done: make(chan struct{}), hurry: make(chan struct{}, 1)}
}

// join is called by whoever is going to wait for the flight. The caller holds
// the account's mu.
func (f *flight) join(req ipc.TokenRequest) *flight {
	f.background = false
	f.fresh = f.fresh || req.Fresh
	f.prompt = f.prompt || req.Interactive
	select {
	case f.hurry <- struct{}{}:
	default:
	}
	return f
}

// flightTime bounds each of the three parts of a flight: the wait for its turn,
// the reading of the secret, and the exchange with all its retries. No
// caller's deadline shortens them.
const flightTime = 30 * time.Second

// launch starts a flight for the token of a slot, which others may join. The
// caller holds acct.mu.
func (a *Agent) launch(acct *account, s *slot, f *flight) {
	s.queued = f
	a.start(acct, s, f, s.up)
}

// start starts a flight; s is nil for one that nobody else may join. The
// caller holds acct.mu.
func (a *Agent) start(acct *account, s *slot, f *flight, up provider.Request) {
	if !a.spawn(func() {
		f.entry, f.err = a.fly(acct, s, f, up)
		acct.mu.Lock()
		s.ended(f)
		acct.mu.Unlock()
		close(f.done)
		a.rouse()
	}) {
		f.err = wireError(context.Canceled, acct.name)
		s.ended(f)
		close(f.done)
	}
}

func (s *slot) ended(f *flight) {
	if s == nil {
		return
	}
	if s.running == f {
		s.running = nil
	}
	if s.queued == f {
		s.queued = nil
	}
}

// fly waits for the profile's turn, reads the secret, exchanges it, and puts
// the outcome on record.
func (a *Agent) fly(acct *account, s *slot, f *flight, up provider.Request) (*entry, error) {
	ctx, interrupt := context.WithCancelCause(a.ctx)
	defer interrupt(nil)
	if err := f.await(ctx, acct.turn); err != nil {
		return nil, wireError(err, acct.name)
	}
	defer func() { acct.turn <- struct{}{} }()

	rec, err := a.begin(acct, s, f, interrupt)
	if err != nil {
		return nil, err
	}
	defer acct.end()
	e, err := a.exchangeStored(ctx, rec, f.prompted, up)
	if err == nil {
		e, err = a.landed(acct, s, f, rec, up, e)
	}
	switch cause := context.Cause(ctx); {
	case err == nil:
		a.exchanged(rec, e, nil, f.ahead(acct))
		return e, nil
	case errors.Is(cause, errAgain), errors.Is(err, errAgain):
		return nil, errAgain
	case errors.Is(err, errLocked):
		return nil, errLocked // says nothing about the profile
	case cause != nil:
		return nil, wireError(cause, acct.name) // says nothing about the profile
	default:
		wire := a.failed(acct, s, rec, up, err)
		a.exchanged(rec, nil, err, f.ahead(acct))
		return nil, wire
	}
}

// ahead reports whether nobody waits for the flight.
func (f *flight) ahead(acct *account) bool {
	acct.mu.Lock()
	defer acct.mu.Unlock()
	return f.background
}

// exchangeStored reads the secret from its store and exchanges it, while no
// other agent does.
func (a *Agent) exchangeStored(ctx context.Context, rec Record, p provider.Prompt, up provider.Request) (*entry, error) {
	release, err := a.exclusive(ctx, rec)
	if err != nil {
		return nil, err
	}
	defer release()
	// While this waited, another agent may have replaced or renamed it.
	if _, bad := a.state.refresh(); bad != nil {
		return nil, bad
	}
	if now, bad := a.state.get(rec.account.name); bad != nil || now.account != rec.account {
		return nil, errAgain
	}
	if err := a.saveNow(rec); err != nil {
		return nil, err
	}
	if err := a.settle(ctx, rec, p); err != nil {
		return nil, err
	}
	cred, err := a.credential(ctx, rec.account.name, rec, p)
	if err != nil {
		return nil, err
	}
	if a.period.Load().locked { // nothing is lost yet
		return nil, errLocked
	}
	return a.exchange(ctx, rec, cred, up)
}

// await waits for the pause to pass, and for the turn.
func (f *flight) await(ctx context.Context, turn chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, f.pause+flightTime)
	defer cancel()
	if f.pause > 0 {
		pause := time.NewTimer(f.pause)
		defer pause.Stop()
		select {
		case <-pause.C:
		case <-f.hurry:
		case <-ctx.Done():
		}
	}
	return take(ctx, turn)
}

// begin returns the settings of the profile at the beginning of its turn,
// which nobody changes before its end. It fails if the account is no longer
// the profile's, or if an exchange that came first has met with trouble.
func (a *Agent) begin(acct *account, s *slot, f *flight, interrupt context.CancelCauseFunc) (Record, error) {
	if _, bad := a.state.refresh(); bad != nil {
		return Record{}, bad
	}
	rec, bad := a.state.get(acct.name)
	if bad != nil || rec.account != acct {
		return Record{}, errAgain
	}
	now := a.Clock.Now()
	acct.mu.Lock()
	defer acct.mu.Unlock()
	if acct.ending {
		return Record{}, errAgain
	}
	if a.period.Load().locked { // else a lock that comes now finds the exchange
		return Record{}, errLocked
	}
	f.wipes = acct.wipes
	if s != nil {
		if err := acct.blocked(s, now, f.fresh, f.background); err != nil {
			return Record{}, err
		}
		s.running, s.queued = f, nil
	}
	f.prompted = provider.Prompt(f.prompt)
	acct.interrupt = interrupt
	return rec, nil
}

// end is called where begin succeeded, before the turn is given back.
func (acct *account) end() {
	acct.mu.Lock()
	defer acct.mu.Unlock()
	acct.interrupt = nil
}
