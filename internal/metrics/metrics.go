// Package metrics tells machines what the agent does and when API tokens end,
// in the text formats of Prometheus and OpenMetrics. It remembers what it
// counts, and looks at the rest when it is asked: that takes no server, no
// keychain's dialog and no exchange.
package metrics

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"

	"github.com/cspctl/cspctl/internal/ipc"
)

// Source is what the metrics tell of: an *agent.Agent.
type Source interface {
	// Snapshot returns all profiles, and the ends of the API tokens of those
	// that are logged in. It waits for no server and no store.
	Snapshot() ([]ipc.ProfileStatus, []ipc.ProfileExpiry, error)
	// StoreStates looks at the stores, for a bounded time.
	StoreStates(context.Context) []ipc.StoreStatus
	// Locked reports whether nothing is given out, and since when.
	Locked() (since time.Time, locked bool)
}

// Metrics counts, and writes pages. Its methods may be called at the same time.
type Metrics struct {
	registry *prometheus.Registry
	now      func() time.Time

	source Source
	config func() ipc.ConfigStatus

	looking sync.Mutex // one look at the agent at a time; taken before mu

	mu       sync.Mutex // held for moments: events come from within the agent's locks
	profiles map[string]*profileCounts
	refused  map[refusal]uint64
	uids     map[uint32]bool // those that have a label of their own
}

// New returns metrics that count from now on.
func New() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(), now: time.Now,
		profiles: map[string]*profileCounts{}, refused: map[refusal]uint64{}, uids: map[uint32]bool{},
	}
	// The process tells numbers alone, and of its command line nothing.
	m.registry.MustRegister(collector{m}, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Attach says what to tell of besides what was counted: the agent, and the
// condition of its settings. It is called once, before the first Page.
func (m *Metrics) Attach(s Source, config func() ipc.ConfigStatus) { m.source, m.config = s, config }

// Page returns all metrics in the format that an Accept header asks for, and
// what its Content-Type says: Prometheus's text, unless it is OpenMetrics.
// https://prometheus.io/docs/instrumenting/exposition_formats/
func (m *Metrics) Page(accept string) (contentType string, page []byte, err error) {
	families, err := m.registry.Gather()
	if err != nil {
		return "", nil, err
	}
	format := expfmt.NegotiateAccept(http.Header{"Accept": {accept}},
		expfmt.FmtText, expfmt.FmtOpenMetrics_1_0_0, expfmt.FmtOpenMetrics_0_0_1)
	var b bytes.Buffer
	e := expfmt.NewEncoder(&b, format)
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "process_network_") {
			continue // the machine's, and not the agent's
		}
		if err := e.Encode(f); err != nil {
			return "", nil, err
		}
	}
	if c, ok := e.(expfmt.Closer); ok { // OpenMetrics has a last line
		if err := c.Close(); err != nil {
			return "", nil, err
		}
	}
	return string(format), b.Bytes(), nil
}
