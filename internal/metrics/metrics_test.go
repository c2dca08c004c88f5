package metrics

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/cspctl/cspctl/internal/ipc"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// source is an agent as the test wants it.
type source struct {
	mu     sync.Mutex
	all    []ipc.ProfileStatus
	ends   []ipc.ProfileExpiry
	err    error
	locked bool
	stores func(context.Context) []ipc.StoreStatus
}

func (s *source) Snapshot() ([]ipc.ProfileStatus, []ipc.ProfileExpiry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all), slices.Clone(s.ends), s.err
}

func (s *source) Locked() (time.Time, bool) { return time.Time{}, s.locked }

func (s *source) StoreStates(ctx context.Context) []ipc.StoreStatus {
	if s.stores != nil {
		return s.stores(ctx)
	}
	return []ipc.StoreStatus{{Kind: "keychain", Status: "locked", Detail: "a detail", Hint: "a hint"}, {Kind: "memory", Status: "ready"}}
}

// set replaces the profiles.
func (s *source) set(all ...ipc.ProfileStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = all
}

func profile(name string, hits, misses int64) ipc.ProfileStatus {
	return ipc.ProfileStatus{Profile: ipc.Profile{Name: name, Provider: "csp"}, State: ipc.StateReady, Hits: hits, Misses: misses}
}

func newMetrics(s *source) *Metrics {
	m := New()
	m.now = func() time.Time { return noon }
	m.Attach(s, func() ipc.ConfigStatus { return ipc.ConfigStatus{} })
	return m
}

// page returns the metrics by name and labels, as the text has them.
func page(t *testing.T, m *Metrics) map[string]float64 {
	t.Helper()
	_, b, err := m.Page("")
	if err != nil {
		t.Fatal(err)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	if _, err := parser.TextToMetricFamilies(strings.NewReader(string(b))); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	got := map[string]float64{}
	for line := range strings.Lines(string(b)) {
		if at := strings.LastIndexByte(line, ' '); !strings.HasPrefix(line, "#") && at > 0 {
			var v float64
			if _, err := fmt.Sscan(line[at+1:], &v); err != nil {
				t.Fatal(err)
			}
			got[line[:at]] = v
		}
	}
	return got
}

func want(t *testing.T, got map[string]float64, wants map[string]float64) {
	t.Helper()
	for name, v := range wants {
		if have, ok := got[name]; !ok || have != v {
			t.Errorf("%s is %v (%v), want %v", name, have, ok, v)
		}
	}
}

func TestP7TheAgentsKnowledgeForMachines(t *testing.T) {
	renewAt := noon.Add(10 * time.Minute)
	ready := profile("a", 7, 2)
	ready.Store = "keychain"
	ready.AccessToken = &ipc.TokenStatus{ObtainedAt: noon.Add(-5 * time.Minute), ExpiresAt: noon.Add(25 * time.Minute), RenewAt: &renewAt}
	out := profile("z", 0, 0)
	out.State, out.LoggedOut, out.Store = ipc.StateLoggedOut, true, "memory"
	odd := profile("odd", 0, 0)
	odd.State = "of a newer agent"
	m := newMetrics(&source{locked: true, all: []ipc.ProfileStatus{ready, odd, out}, ends: []ipc.ProfileExpiry{
		{Profile: "a", Provider: "csp", Server: "https://csp.example", Org: "o", TokenName: "x\"\n\\\xff", Status: ipc.ExpiryKnown,
			ExpiresAt: noon.Add(-90 * time.Second), CheckedAt: noon.Add(-time.Hour), Refused: true},
		{Profile: "n", Provider: "csp", Status: ipc.ExpiryNever, Deactivated: true},
		{Profile: "u", Provider: "csp", Status: ipc.ExpiryUnknown},
	}})
	m.Observe(ipc.Event{Type: ipc.EventExchange, Profile: "a", Provider: "csp", Outcome: ipc.OutcomeGranted, Ahead: true, Time: noon.Add(-time.Minute)})
	m.Observe(ipc.Event{Type: ipc.EventExchange, Profile: "a", Provider: "csp", Outcome: ipc.OutcomeFailed, Message: "text", Time: noon})
	m.Observe(ipc.Event{Type: ipc.EventWarning, Profile: "a"})
	got := page(t, m)
	const a = `{profile="a",provider="csp"}`
	want(t, got, map[string]float64{
		`csp_agent_build_info{version="` + ipc.Version + `"}`: 1,
		"csp_agent_settings_usable":                           1,
		"csp_agent_state_usable":                              1,
		"csp_agent_locked":                                    1,

		`csp_agent_store_state{state="locked",store="keychain"}`:                                                                   1,
		`csp_agent_store_state{state="ready",store="keychain"}`:                                                                    0,
		`csp_agent_store_state{state="ready",store="memory"}`:                                                                      1,
		`csp_agent_store_profiles{store="keychain"}`:                                                                               1,
		`csp_agent_store_profiles{store="memory"}`:                                                                                 0,
		`csp_agent_profile_state{profile="a",provider="csp",state="ready"}`:                                                        1,
		`csp_agent_profile_state{profile="a",provider="csp",state="refused"}`:                                                      0,
		`csp_agent_profile_state{profile="z",provider="csp",state="logged_out"}`:                                                   1,
		`csp_agent_profile_state{profile="odd",provider="csp",state="of a newer agent"}`:                                           1,
		`csp_agent_exchanges_total{ahead="true",outcome="granted",profile="a",provider="csp"}`:                                     1,
		`csp_agent_exchanges_total{ahead="false",outcome="failed",profile="a",provider="csp"}`:                                     1,
		`csp_agent_exchanges_total{ahead="false",outcome="store",profile="a",provider="csp"}`:                                      0,
		"csp_agent_cache_hits_total" + a:                                                                                           7,
		"csp_agent_cache_misses_total" + a:                                                                                         2,
		"csp_access_token_expiry_timestamp_seconds" + a:                                                                            float64(noon.Unix() + 1500),
		"csp_access_token_expires_in_seconds" + a:                                                                                  1500,
		"csp_access_token_renewed_timestamp_seconds" + a:                                                                           float64(noon.Unix() - 60),
		"csp_access_token_renewal_age_seconds" + a:                                                                                 60,
		"csp_api_token_expires_in_seconds" + a:                                                                                     -90,
		"csp_api_token_expiry_timestamp_seconds" + a:                                                                               float64(noon.Unix() - 90),
		"csp_api_token_checked_timestamp_seconds" + a:                                                                              float64(noon.Unix() - 3600),
		"csp_api_token_refused" + a:                                                                                                1,
		`csp_api_token_deactivated{profile="n",provider="csp"}`:                                                                    1,
		`csp_api_token_expiry_unknown{profile="u",provider="csp"}`:                                                                 1,
		`csp_api_token_info{org="o",profile="a",provider="csp",server="https://csp.example",token_name="x\"\n\\` + "\uFFFD" + `"}`: 1,
		`csp_api_token_expires_in_seconds{profile="n",provider="csp"}`:                                                             math.Inf(1),
		`csp_api_token_expiry_timestamp_seconds{profile="n",provider="csp"}`:                                                       math.Inf(1),
	})
	for name := range got {
		for _, not := range []string{
			`csp_api_token_expires_in_seconds{profile="u"`, `csp_api_token_info{org="",profile="z"`, `csp_access_token_expires_in_seconds{profile="z"`,
			"a detail", "a hint", `"text"`,
		} {
			if strings.Contains(name, not) {
				t.Errorf("told: %s", name)
			}
		}
	}
}

// The sum of what is told never falls, whatever the account shows half-way
// through a login; and a profile that is gone is not told of any more.
func TestCountersDoNotGoBackwards(t *testing.T) {
	s := &source{}
	m := newMetrics(s)
	const hits = `csp_agent_cache_hits_total{profile="a",provider="csp"}`
	const granted = `csp_agent_exchanges_total{ahead="false",outcome="granted",profile="a",provider="csp"}`
	m.Observe(ipc.Event{Type: ipc.EventExchange, Profile: "a", Outcome: ipc.OutcomeGranted}) // of a login, before its profile is there
	for _, step := range []struct{ seen, told int64 }{{10, 10}, {8, 10}, {9, 11}, {0, 11}, {4, 15}} {
		s.set(profile("a", step.seen, 0))
		if got := page(t, m); got[hits] != float64(step.told) || got[granted] != 1 {
			t.Errorf("seen %d: told %v hits and %v exchanges, want %d and 1", step.seen, got[hits], got[granted], step.told)
		}
	}
	s.err = context.Canceled // the state file can't be read: nothing is gone
	if got := page(t, m); got[hits] != 15 || got["csp_agent_state_usable"] != 0 {
		t.Errorf("no state: %v hits", got[hits])
	}
	s.err = nil
	s.set()
	if _, ok := page(t, m)[hits]; ok {
		t.Error("a profile that is gone is told of")
	}
}

// Whoever connects, and whatever is said to have happened, can't make the page
// grow without end.
func TestLabelsAreBounded(t *testing.T) {
	m := newMetrics(&source{})
	before := len(page(t, m))
	for i := range 2000 {
		m.Refused(uint32(1000+i), ipc.RefusedPeer)
		m.Refused(uint32(1000+i), ipc.RefusedRole)
		m.Observe(ipc.Event{Type: ipc.EventExchange, Profile: fmt.Sprint("p", i), Outcome: ipc.OutcomeGranted})
		m.Observe(ipc.Event{Type: ipc.EventExchange, Profile: "p0", Outcome: fmt.Sprint("a text of ", i)})
	}
	m.Refused(1000, "a text of an error")
	got := page(t, m)
	want(t, got, map[string]float64{
		`csp_agent_refused_requests_total{reason="peer",uid="1015"}`:                              1,
		`csp_agent_refused_requests_total{reason="peer",uid="other"}`:                             2000 - 16,
		`csp_agent_refused_requests_total{reason="other",uid="1000"}`:                             1,
		`csp_agent_exchanges_total{ahead="false",outcome="granted",profile="_other",provider=""}`: 2000 - maxStrays,
		`csp_agent_exchanges_total{ahead="false",outcome="failed",profile="p0",provider=""}`:      2000,
	})
	if grew, most := len(got)-before, 2*17+1+maxStrays+2; grew > most {
		t.Errorf("%d series more, and %d are the most", grew, most)
	}
}

// P4: an event never waits for a page, however long the stores take; and the
// stores have a bound.
func TestP4EventsDoNotWaitForAPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{all: []ipc.ProfileStatus{profile("a", 0, 0)}}
		s.stores = func(ctx context.Context) []ipc.StoreStatus { <-ctx.Done(); return nil }
		m := newMetrics(s)
		begin := time.Now()
		done := make(chan error)
		for range 3 {
			go func() { _, _, err := m.Page(""); done <- err }()
		}
		synctest.Wait() // all wait for the store
		m.Observe(ipc.Event{Type: ipc.EventExchange, Profile: "a", Outcome: ipc.OutcomeGranted})
		m.Refused(1, ipc.RefusedPeer)
		if d := time.Since(begin); d != 0 {
			t.Errorf("an event waited %v", d)
		}
		for range 3 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if d := time.Since(begin); d > storeTime {
			t.Errorf("pages at the same time took %v", d)
		}
	})
}

func TestOpenMetrics(t *testing.T) {
	m := newMetrics(&source{all: []ipc.ProfileStatus{profile("a", 1, 0)}})
	kind, b, err := m.Page("application/openmetrics-text;version=1.0.0;q=0.9,text/plain;q=0.1")
	if err != nil || !strings.HasPrefix(kind, "application/openmetrics-text; version=1.0.0") || !strings.HasSuffix(string(b), "\n# EOF\n") ||
		!strings.Contains(string(b), "# TYPE csp_agent_cache_hits counter\n") {
		t.Errorf("%v, %s: %s", err, kind, b)
	}
	for _, accept := range []string{"", "*/*", "text/html", "text/plain", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"} {
		if kind, _, err := m.Page(accept); err != nil || !strings.HasPrefix(kind, "text/plain; version=0.0.4") {
			t.Errorf("%q: %s, %v", accept, kind, err)
		}
	}
}

// The process tells numbers, and nothing that it was started with.
func TestP1NoCommandLineAndNoEnvironment(t *testing.T) {
	got := page(t, newMetrics(&source{}))
	for name := range got {
		if strings.HasPrefix(name, "process_") && strings.Contains(name, "{") || strings.Contains(name, "/") {
			t.Errorf("%s has labels", name)
		}
		if strings.HasPrefix(name, "process_network_") {
			t.Errorf("%s is the machine's, not the agent's", name)
		}
	}
	if _, ok := got["go_goroutines"]; !ok {
		t.Error("nothing is known of the process")
	}
}
