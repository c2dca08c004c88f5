package metrics

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cspctl/cspctl/internal/ipc"
)

// storeTime bounds the look at the stores. They have bounds of their own,
// which are less.
const storeTime = 3 * time.Second

var profileLabels = []string{"profile", "provider"}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	buildInfo = desc("csp_agent_build_info", "Which version of csp-agent runs; always 1.", "version")
	settings  = desc("csp_agent_settings_usable", "Whether the settings file can be used as it is now.")
	stateFile = desc("csp_agent_state_usable", "Whether the file of the profiles can be used.")
	locked    = desc("csp_agent_locked", "Whether the agent is locked: nothing is given out.")
	storeIs   = desc("csp_agent_store_state", "Whether a store is in a state: 1 for the state that it is in.", "store", "state")
	storeUse  = desc("csp_agent_store_profiles", "How many profiles that are logged in have their secret in a store.", "store")
	profileIs = desc("csp_agent_profile_state", "Whether a profile is in a state: 1 for the state that it is in.", "profile", "provider", "state")
	exchanges = desc("csp_agent_exchanges_total", "How often an access token was asked for upstream, by outcome; ahead if nobody waited for it.",
		"profile", "provider", "outcome", "ahead")
	hits    = desc("csp_agent_cache_hits_total", "How many calls for a token were answered from the cache.", profileLabels...)
	misses  = desc("csp_agent_cache_misses_total", "How many calls for a token needed an exchange, or were refused one.", profileLabels...)
	refused = desc("csp_agent_refused_requests_total", "How many connections and requests were turned away, by the peer's user.", "uid", "reason")

	accessEnd  = desc("csp_access_token_expiry_timestamp_seconds", "When the cached access token expires, in seconds since 1970; missing if none is cached.", profileLabels...)
	accessLeft = desc("csp_access_token_expires_in_seconds", "How long the cached access token lives; missing if none is cached.", profileLabels...)
	renewed    = desc("csp_access_token_renewed_timestamp_seconds", "When an access token was obtained last, in seconds since 1970; missing if none was since the agent started.", profileLabels...)
	renewedAgo = desc("csp_access_token_renewal_age_seconds", "How long ago an access token was obtained last; missing if none was since the agent started.", profileLabels...)
)

var (
	profileStates = []string{ipc.StateReady, ipc.StateIdle, ipc.StateFailing, ipc.StateRefused, ipc.StatePasscode, loggedOut}
	storeStates   = []string{"ready", "locked", "unavailable"}
)

// collector implements prometheus.Collector.
type collector struct{ m *Metrics }

// Describe tells nothing: which families there are depends on the profiles.
func (collector) Describe(chan<- *prometheus.Desc) {}

// Collect looks at the agent.
func (c collector) Collect(to chan<- prometheus.Metric) {
	s := &sink{now: c.m.now()}
	defer func() {
		for _, m := range s.list {
			to <- m
		}
	}()
	s.gauge(buildInfo, 1, ipc.Version)
	if c.m.source == nil {
		return
	}
	s.gauge(settings, truth(c.m.config == nil || c.m.config().Error == ""))
	_, isLocked := c.m.source.Locked()
	s.gauge(locked, truth(isLocked))
	all, ends, err := c.look(s)
	s.gauge(stateFile, truth(err == nil))
	use := map[string]float64{}
	for _, p := range all {
		s.profile(p)
		if !p.LoggedOut {
			use[p.Store]++
		}
	}
	for _, e := range ends {
		s.expiry(e)
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTime)
	defer cancel()
	for _, store := range c.m.source.StoreStates(ctx) {
		s.states(storeIs, storeStates, store.Status, store.Kind)
		s.gauge(storeUse, use[store.Kind], store.Kind)
	}
}

// look takes a snapshot, and tells what was counted. In one step, so that no
// counter is told to be less than another page said at the same time.
func (c collector) look(s *sink) ([]ipc.ProfileStatus, []ipc.ProfileExpiry, error) {
	c.m.looking.Lock()
	defer c.m.looking.Unlock()
	all, ends, err := c.m.source.Snapshot()
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	if err == nil {
		c.m.take(all)
	}
	s.counts(c.m)
	return all, ends, err
}

// sink gathers metrics, which are handed on without a lock held.
type sink struct {
	list []prometheus.Metric
	now  time.Time
}

func (s *sink) gauge(d *prometheus.Desc, v float64, labels ...string) {
	s.list = append(s.list, prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, valid(labels)...))
}

func (s *sink) counter(d *prometheus.Desc, v float64, labels ...string) {
	s.list = append(s.list, prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, valid(labels)...))
}

// valid makes labels UTF-8, as the formats ask for.
func valid(labels []string) []string {
	for i, l := range labels {
		labels[i] = strings.ToValidUTF8(l, "\uFFFD")
	}
	return labels
}

// states tells for each state of a list whether it is the one. A state that is
// not in it is told, too.
func (s *sink) states(d *prometheus.Desc, list []string, is string, labels ...string) {
	if !slices.Contains(list, is) {
		list = append(slices.Clone(list), is)
	}
	for _, state := range list {
		s.gauge(d, truth(state == is), append(slices.Clone(labels), state)...)
	}
}

// counts tells what was counted. Profiles that the agent has begin at 0, since
// the first of a kind is a rise as well. The caller holds the mutex of m.
func (s *sink) counts(m *Metrics) {
	for name, p := range m.profiles {
		kinds := map[exchange]uint64{}
		if p.known {
			for _, o := range outcomes {
				kinds[exchange{o, false}], kinds[exchange{o, true}] = 0, 0
			}
			s.counter(hits, float64(p.hits.sum), name, p.provider)
			s.counter(misses, float64(p.misses.sum), name, p.provider)
		}
		for e, n := range p.exchanges {
			kinds[e] = n
		}
		for e, n := range kinds {
			s.counter(exchanges, float64(n), name, p.provider, e.outcome, map[bool]string{false: "false", true: "true"}[e.ahead])
		}
		if p.known && !p.renewed.IsZero() {
			s.gauge(renewed, unix(p.renewed), name, p.provider)
			s.gauge(renewedAgo, s.now.Sub(p.renewed).Seconds(), name, p.provider)
		}
	}
	for r, n := range m.refused {
		s.counter(refused, float64(n), r.uid, r.reason)
	}
}

func (s *sink) profile(p ipc.ProfileStatus) {
	s.states(profileIs, profileStates, stateLabel(p.State), p.Name, p.Provider)
	if t := p.AccessToken; t != nil {
		s.gauge(accessEnd, unix(t.ExpiresAt), p.Name, p.Provider)
		s.gauge(accessLeft, t.ExpiresAt.Sub(s.now).Seconds(), p.Name, p.Provider)
	}
}

// loggedOut is ipc.StateLoggedOut as a label, without the blank that people read.
const loggedOut = "logged_out"

func stateLabel(state string) string {
	if state == ipc.StateLoggedOut {
		return loggedOut
	}
	return state
}

func truth(on bool) float64 {
	if on {
		return 1
	}
	return 0
}

// unix is a time in seconds since 1970, as a whole number, as cspctl tells it.
func unix(t time.Time) float64 { return float64(t.Unix()) }
