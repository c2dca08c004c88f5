package sim

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// The names of the endpoints, in faults and statistics.
const (
	Authorize  = "authorize"
	Details    = "details"
	PublicKey  = "token-public-key"
	OpenIDConf = "openid-configuration"

	// Of OAuth apps: two paths for the same.
	AppAuthorize = "app-authorize"
	AppToken     = "app-token"

	// Of Cloud Director.
	VCDVersions     = "vcd-versions"
	VCDTokenRequest = "vcd-token" // /oauth/.../token
	VCDLogin        = "vcd-login" // POST of a session
	VCDSession      = "vcd-session"
	VCDProxyToken   = "vcd-proxy-token"
	VCDLegacy       = "vcd-legacy" // the XML API
)

// unknownToken counts the requests with a token that the simulator does not know.
const unknownToken = "unknown"

// Stats counts requests from the moment they arrive, before any fault.
type Stats struct {
	Exchanges  int                   `json:"exchanges"` // requests for an access token
	Granted    int                   `json:"granted"`   // of them: access tokens given, whether or not they arrived
	Details    int                   `json:"details"`
	Endpoints  map[string]int        `json:"endpoints"` // all, by name
	Tokens     map[string]TokenStats `json:"tokens"`    // by account
	Violations []Violation           `json:"violations"`
}

// TokenStats counts the requests of one account.
type TokenStats struct {
	Exchanges int `json:"exchanges"`
	Granted   int `json:"granted"`
	Details   int `json:"details"`

	// Generations counts the exchanges of a rotating token by how often the
	// token had been replaced: 0 is the first one.
	Generations map[int]int `json:"generations,omitempty"`
}

// Violation is a use of the API that works, or once worked, and should not be.
type Violation struct {
	Time     time.Time `json:"time"`
	Endpoint string    `json:"endpoint"`
	Token    string    `json:"token"` // the account
	What     string    `json:"what"`
}

// maxViolations bounds what is kept.
const maxViolations = 1000

func (st *Stats) count(q *request, who string) {
	st.Endpoints[q.endpoint]++
	t := st.Tokens[who]
	switch q.endpoint {
	case Authorize, AppAuthorize, AppToken, VCDTokenRequest, VCDLogin:
		st.Exchanges++
		t.Exchanges++
		if q.generation != nil {
			if t.Generations == nil {
				t.Generations = map[int]int{}
			}
			t.Generations[*q.generation]++
		}
	case Details:
		st.Details++
		t.Details++
	default:
		return
	}
	st.Tokens[who] = t
}

// Stats returns a copy of the counters.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Endpoints, st.Tokens = maps.Clone(st.Endpoints), maps.Clone(st.Tokens)
	for who, t := range st.Tokens {
		t.Generations = maps.Clone(t.Generations)
		st.Tokens[who] = t
	}
	st.Violations = append([]Violation{}, st.Violations...)
	return st
}

// granted counts an access token. The caller holds s.mu.
func (s *Server) granted(who string) {
	st := s.stats.Tokens[who]
	st.Granted++
	s.stats.Granted++
	s.stats.Tokens[who] = st
	close(s.changed)
	s.changed = make(chan struct{})
}

// ResetStats sets all counters to zero.
func (s *Server) ResetStats() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats = Stats{Endpoints: map[string]int{}, Tokens: map[string]TokenStats{}}
}

// WaitExchanges waits until n exchanges have arrived since the start or the
// last ResetStats, answered or not. It returns ctx's error if it ends first.
func (s *Server) WaitExchanges(ctx context.Context, n int) error {
	return s.wait(ctx, func(st *Stats) bool { return st.Exchanges >= n })
}

// WaitDetails is WaitExchanges for the details endpoint.
func (s *Server) WaitDetails(ctx context.Context, n int) error {
	return s.wait(ctx, func(st *Stats) bool { return st.Details >= n })
}

// WaitGranted waits until n access tokens have been made since the start or the
// last ResetStats, whether or not their answers arrived.
func (s *Server) WaitGranted(ctx context.Context, n int) error {
	return s.wait(ctx, func(st *Stats) bool { return st.Granted >= n })
}

func (s *Server) wait(ctx context.Context, enough func(*Stats) bool) error {
	for {
		s.mu.Lock()
		done, changed := enough(&s.stats), s.changed
		st := s.stats
		s.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%d exchanges and %d details calls have arrived, %d tokens were granted: %w", st.Exchanges, st.Details, st.Granted, ctx.Err())
		}
	}
}

// violation records misuse. what must not hold a secret.
func (s *Server) violation(q *request, who, what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := Violation{Time: s.o.Now().UTC(), Endpoint: q.endpoint, Token: who, What: what}
	s.stats.Violations = append(s.stats.Violations, v)
	if n := len(s.stats.Violations); n > maxViolations {
		s.stats.Violations = slices.Clone(s.stats.Violations[n-maxViolations:])
	}
}
