package agent

import (
	"context"
	"encoding/json"
	"hash/fnv"
	"time"

	"github.com/cspctl/cspctl/internal/agent/expiry"
	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
)

const day = 24 * time.Hour

// toldBy is what each channel was told. What can't be read of it is dropped: a
// warning that is repeated is better than profiles that can't be used.
type toldBy map[string]expiry.Told

// UnmarshalJSON implements json.Unmarshaler.
func (t *toldBy) UnmarshalJSON(b []byte) error {
	*t = nil
	var raw map[string]json.RawMessage
	_ = json.Unmarshal(b, &raw) // of nonsense, nothing is left
	for channel, b := range raw {
		var told expiry.Told
		if json.Unmarshal(b, &told) == nil {
			if *t == nil {
				*t = toldBy{}
			}
			(*t)[channel] = told
		}
	}
	return nil
}

// stagesOf are the stages of warning for a profile, whatever its secret.
func (a *Agent) stagesOf(profile string) expiry.Stages {
	if a.Stages == nil {
		return expiry.Default
	}
	return a.Stages(profile)
}

// subject is what there may be to warn of; withPage completes it for those who
// do.
func (r Record) subject() expiry.Subject {
	s := expiry.Subject{
		Profile: r.account.name, Provider: r.Provider, Server: r.Origin, Org: r.Org,
		Kind: ipc.SecretKind(r.Provider), TokenName: r.TokenName, Login: r.LoggedIn, CheckedAt: r.CheckedAt,
		Refused: r.account.refused(), Deactivated: r.Deactivated, Told: r.Told,
	}
	if e := r.Expiry; e != nil && e.Known && !e.Never {
		s.ExpiresAt = e.At
		if !r.CreatedAt.IsZero() && r.CreatedAt.Before(e.At) {
			s.Life = e.At.Sub(r.CreatedAt)
		}
	}
	return s
}

func withPage(s expiry.Subject) expiry.Subject {
	s.RenewURL = provider.TokenPage(s.Provider, s.Server, s.Org)
	return s
}

// Subjects implements expiry.Profiles.
func (a *Agent) Subjects() ([]expiry.Subject, error) {
	c, bad := a.state.load()
	if bad != nil {
		return nil, bad
	}
	var list []expiry.Subject
	for _, rec := range c.sorted() {
		if !rec.LoggedOut {
			list = append(list, withPage(rec.subject()))
		}
	}
	return list, nil
}

// aloneTime is how long the watch waits for another agent that is telling.
const aloneTime = 100 * time.Millisecond

// Alone implements expiry.Profiles. The name of its lock is none that a profile
// can have.
func (a *Agent) Alone(ctx context.Context, channel string) (release func(), ok bool) {
	release = func() {}
	if a.Exclusive != nil {
		ctx, cancel := context.WithTimeout(ctx, aloneTime)
		defer cancel()
		var err error
		if release, err = a.Exclusive(ctx, ".tell-"+channel); err != nil {
			return nil, false
		}
	}
	_, _ = a.state.refresh() // where it can't be read, what is in force counts
	return release, true
}

// Remember implements expiry.Profiles.
func (a *Agent) Remember(profile string, login time.Time, channel string, t expiry.Told) error {
	return orNil(a.state.change(func(c *contents) *ipc.Error {
		r := c.Profiles[profile]
		if r == nil || !r.LoggedIn.Equal(login) {
			return nil
		}
		told := toldBy{}
		for name, was := range r.Told { // what is in force is never changed
			told[name] = was
		}
		told[channel] = t
		if t == (expiry.Told{}) {
			delete(told, channel)
		}
		r.Told = told
		return nil
	}))
}

const (
	// maxAsked bounds the questions that one look of the watch starts: after a
	// sleep of days all of them are due.
	maxAsked = 4
	// askAgain is how long the watch waits after a question that failed, twice
	// as long each time, up to askAgainMost.
	askAgain, askAgainMost = time.Minute, time.Hour
)

// AskDue implements expiry.Profiles: it asks servers about secrets of which
// they have said nothing for a day, and more often when the end is near.
func (a *Agent) AskDue() {
	if _, locked := a.Locked(); locked {
		return
	}
	c, bad := a.state.load()
	if bad != nil {
		return
	}
	now := a.Clock.Now()
	asked := 0
	for _, rec := range c.sorted() {
		if asked == maxAsked {
			return
		}
		interval := rec.checkEvery(now.Wall)
		if !rec.stale(now.Wall, interval-rec.jitter(interval)) || rec.account.askedLately(now) {
			continue
		}
		if _, err := a.inquire(*rec, provider.NoPrompt, true); err == nil {
			asked++
		}
	}
}

// checkEvery is how old the memory of an expiry may grow.
func (r Record) checkEvery(now time.Time) time.Duration {
	if e := r.Expiry; e != nil && e.Known && !e.Never {
		switch left := e.At.Sub(now); {
		case left <= day:
			return time.Hour
		case left <= 7*day:
			return 6 * time.Hour
		}
	}
	return checkInterval
}

// jitter is up to a tenth of an interval, the same until the next check: so
// that many profiles, or many machines, do not ask at one moment.
func (r Record) jitter(interval time.Duration) time.Duration {
	h := fnv.New32a()
	_, _ = h.Write([]byte(r.account.name + r.LoggedIn.String() + r.CheckedAt.String())) // never fails
	return time.Duration(float64(interval) / 10 * float64(h.Sum32()) / (1 << 32))
}

// askedLately reports whether a question failed too short a time ago for the
// watch to ask again.
func (acct *account) askedLately(now Instant) bool {
	acct.mu.Lock()
	defer acct.mu.Unlock()
	t := acct.hushed
	if t == nil {
		return false
	}
	pause := askAgainMost
	if shift := t.count - 1; shift < 6 {
		pause = askAgain << shift
	}
	return t.at.Since(now) < pause
}

// shell is the channel of those who ask for tokens on a terminal.
const shell = "shell"

// warning is what there is to warn of behind a token; nil if nothing is. Whether
// a person is to be told is a matter of mode: with ipc.WarningsAuto, of a stage
// once a day.
func (a *Agent) warning(rec Record, mode string, now time.Time) *ipc.Warning {
	s := rec.subject()
	stage := s.Stage(a.stagesOf(s.Profile), now)
	if stage == "" {
		return nil
	}
	silent := mode == ipc.WarningsOff || mode == ipc.WarningsAuto && !a.tellShell(rec, stage, now)
	return &ipc.Warning{Stage: stage, Message: withPage(s).Warning(stage, now).Message, Silent: silent}
}

// tellShell reports whether a stage is to be told on a terminal now, and
// remembers that it was; on record behind the answer, which nobody waits for.
func (a *Agent) tellShell(rec Record, stage string, now time.Time) bool {
	acct := rec.account
	acct.mu.Lock()
	defer acct.mu.Unlock()
	told := acct.shell
	if told.Stage == "" {
		told = rec.Told[shell]
	}
	if age := now.Sub(told.At); told.Stage == stage && age >= 0 && age < day {
		return false
	}
	told = expiry.Told{Stage: stage, At: now.UTC().Truncate(time.Second)}
	acct.shell = told
	a.spawn(func() {
		if err := a.Remember(acct.name, rec.LoggedIn, shell, told); err != nil {
			a.Log.Debug("what was told could not be remembered", "profile", acct.name, "err", err)
		}
	})
	return true
}

// checkWarnings refuses what is no way to be warned.
func checkWarnings(mode string) *ipc.Error {
	switch mode {
	case "", ipc.WarningsAlways, ipc.WarningsAuto, ipc.WarningsOff:
		return nil
	}
	return errorf(ipc.CodeBadRequest, "warnings are auto, always or off", "there is no such way to be warned")
}
