package metrics

import (
	"strconv"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
)

// The bounds of the labels. What is over them is counted together, under a
// name that no profile and no uid has.
const (
	maxUIDs     = 16
	maxStrays   = 256 // profiles that the agent does not have (yet), as of logins that failed
	otherUID    = "other"
	strayName   = "_other"
	otherReason = "other"
)

var reasons = []string{ipc.RefusedPeer, ipc.RefusedBusy, ipc.RefusedUnknown, ipc.RefusedRole, ipc.RefusedProfile, ipc.RefusedHost, otherReason}

var outcomes = []string{ipc.OutcomeGranted, ipc.OutcomeRefused, ipc.OutcomeStore, ipc.OutcomeFailed}

// profileCounts is what was counted of one profile.
type profileCounts struct {
	provider  string
	exchanges map[exchange]uint64
	renewed   time.Time // when the last exchange was granted
	hits      climbing
	misses    climbing
	known     bool // the agent has had the profile
}

type exchange struct {
	outcome string
	ahead   bool
}

type refusal struct{ uid, reason string }

// climbing makes a counter of a number that may fall: what is counted for a
// profile moves to another account at a login, and may be seen half-way.
type climbing struct{ last, sum int64 }

func (c *climbing) see(n int64) {
	if n > c.last {
		c.sum += n - c.last
	}
	c.last = n
}

// Observe counts an event.
func (m *Metrics) Observe(e ipc.Event) {
	if e.Type != ipc.EventExchange {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.profile(e.Profile)
	if e.Provider != "" {
		p.provider = e.Provider
	}
	p.exchanges[exchange{oneOf(outcomes, e.Outcome), e.Ahead}]++
	if e.Outcome == ipc.OutcomeGranted && e.Time.After(p.renewed) {
		p.renewed = e.Time
	}
}

// Refused counts a connection or a request that was turned away, by its peer's
// uid and one of ipc's reasons.
func (m *Metrics) Refused(uid uint32, reason string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	label := otherUID
	if reason != ipc.RefusedUnknown && (m.uids[uid] || len(m.uids) < maxUIDs) {
		m.uids[uid] = true
		label = strconv.FormatUint(uint64(uid), 10)
	}
	m.refused[refusal{label, oneOf(reasons, reason)}]++
}

// profile returns the counts of a profile. The caller holds mu.
func (m *Metrics) profile(name string) *profileCounts {
	if p := m.profiles[name]; p != nil {
		return p
	}
	strays := 0
	for _, p := range m.profiles {
		if !p.known {
			strays++
		}
	}
	if strays >= maxStrays {
		name = strayName
	}
	return m.counts(name)
}

// counts is profile for a name that is within bounds.
func (m *Metrics) counts(name string) *profileCounts {
	p := m.profiles[name]
	if p == nil {
		p = &profileCounts{exchanges: map[exchange]uint64{}}
		m.profiles[name] = p
	}
	return p
}

// oneOf returns v if it is in a list, else the list's last.
func oneOf(list []string, v string) string {
	for _, s := range list {
		if s == v {
			return v
		}
	}
	return list[len(list)-1]
}

// take brings the counts up to a snapshot of all profiles. Those that the
// agent does not have any more are forgotten. The caller holds mu.
func (m *Metrics) take(all []ipc.ProfileStatus) {
	there := make(map[string]bool, len(all))
	for _, s := range all {
		there[s.Name] = true
		p := m.counts(s.Name)
		p.known, p.provider = true, s.Provider
		p.hits.see(s.Hits)
		p.misses.see(s.Misses)
		if t := s.AccessToken; t != nil && t.ObtainedAt.After(p.renewed) {
			p.renewed = t.ObtainedAt
		}
	}
	for name, p := range m.profiles {
		if p.known && !there[name] {
			delete(m.profiles, name)
		}
	}
}
