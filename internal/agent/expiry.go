package agent

import (
	"context"
	"slices"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
)

const (
	// checkInterval is how old the memory of an expiry may grow before the
	// server is asked again: an API token may be deactivated meanwhile.
	checkInterval = day
	// firstCheckTime bounds the wait for what no server was ever asked.
	firstCheckTime = 5 * time.Second
)

// Expiry tells when the API tokens of profiles end; without names, of all
// that are logged in. It answers from memory. Where that is over a day old,
// the server is asked behind the answer, and only where nothing is known yet,
// the answer waits for it, for a few seconds. Its errors are of type *ipc.Error.
func (a *Agent) Expiry(ctx context.Context, names []string) (ipc.ExpiryReport, error) {
	list, err := a.chosen(names)
	if err != nil {
		return ipc.ExpiryReport{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, firstCheckTime)
	defer cancel()
	now := a.Clock.Now()
	var awaited []*inquiry
	for _, rec := range list {
		if !rec.stale(now.Wall, checkInterval) {
			continue
		}
		if q, err := a.inquire(rec, provider.NoPrompt, true); err == nil && rec.Expiry == nil {
			awaited = append(awaited, q)
		}
	}
	for _, q := range awaited {
		select {
		case <-q.done:
		case <-ctx.Done():
		}
	}
	report := ipc.ExpiryReport{Profiles: []ipc.ProfileExpiry{}, Stages: a.stagesOf("").Names()}
	for _, rec := range list {
		if len(awaited) > 0 {
			if now, bad := a.find(rec.account.name); bad == nil {
				rec = now
			}
		}
		e := rec.expiry()
		if e.Status == ipc.ExpiryKnown {
			s := rec.subject()
			e.Stages = a.stagesOf(s.Profile).For(s.Life).Names()
		}
		report.Profiles = append(report.Profiles, e)
	}
	return report, nil
}

// chosen returns the profiles of these names, each once, or all that are
// logged in.
func (a *Agent) chosen(names []string) ([]Record, error) {
	var list []Record
	if len(names) == 0 {
		c, bad := a.state.load()
		if bad != nil {
			return nil, bad
		}
		for _, rec := range c.sorted() {
			if !rec.LoggedOut {
				list = append(list, *rec)
			}
		}
		return list, nil
	}
	for _, name := range names {
		rec, bad := a.find(name)
		switch {
		case bad != nil:
			return nil, bad
		case rec.LoggedOut:
			return nil, wireError(provider.ErrNoSecret, rec.account.name)
		case !slices.ContainsFunc(list, func(r Record) bool { return r.account == rec.account }):
			list = append(list, rec)
		}
	}
	return list, nil
}

// stale reports whether the server should be asked again about the secret,
// since its last answer is as old as that. It can't be about one that has
// expired.
func (r Record) stale(now time.Time, old time.Duration) bool {
	if r.LoggedOut || !provider.TellsDetails(r.Provider) || r.Refusal != nil && r.Refusal.Error.Code == ipc.CodeRefused {
		return false
	}
	if e := r.Expiry; e != nil && e.Known && !e.Never && !e.At.After(now) {
		return false
	}
	age := now.Sub(r.CheckedAt)
	return age >= old || age < 0 // a clock stepped back is no reason to wait
}

func (r Record) expiry() ipc.ProfileExpiry {
	e := ipc.ProfileExpiry{
		Profile: r.account.name, Provider: r.Provider, Server: r.Origin, Org: r.Org,
		Status: ipc.ExpiryUnknown, CheckedAt: r.CheckedAt, TokenName: r.TokenName,
		Deactivated: r.Deactivated, Refused: r.account.refused(),
		RenewURL: provider.TokenPage(r.Provider, r.Origin, r.Org),
	}
	switch {
	case r.LoggedOut, !provider.TellsDetails(r.Provider):
		e.Status = ipc.ExpiryNone
	case r.Expiry == nil || !r.Expiry.Known:
	case r.Expiry.Never:
		e.Status = ipc.ExpiryNever
	default:
		e.Status, e.ExpiresAt = ipc.ExpiryKnown, r.Expiry.At.UTC()
	}
	return e
}

// refused reports whether the server refuses the secret for good: to exchange
// it, or, later than any exchange that went well, to tell about it.
func (acct *account) refused() bool {
	acct.mu.Lock()
	defer acct.mu.Unlock()
	dead := func(t *trouble) bool { return t != nil && !t.store && t.class == provider.Permanent }
	if acct.trial { // a login hears of it, and may put back what was there before
		return false
	}
	alive := acct.lastError == nil && dead(acct.hushed) && acct.lastExchange.Boot > acct.hushed.at.Boot
	return dead(acct.trouble) || dead(acct.hushed) && !alive
}
