package agent_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
)

// server is an upstream whose clock is never stepped and never sleeps.
type server struct {
	clock *clock
	mu    sync.Mutex
	life  time.Duration
	skew  time.Duration // of its clock against the true time
	delay time.Duration
	hang  bool          // until the caller gives up
	gate  chan struct{} // where not nil, answers wait for it to be closed
	fail  error
	// judge, where not nil, decides each exchange: n counts from 1.
	judge func(n int, r provider.Request) error
	edit  func(*provider.Token) // changes each answer
	same  bool                  // hands the last token out again while it lives

	opaque  bool          // the tokens are no JWTs
	silent  bool          // no expires_in
	undated bool          // no Date
	id      bool          // an ID token comes along,
	idLess  time.Duration // and ends this much earlier
	details func() (provider.Details, error)
	keys    func(provider.Credential) ([]byte, error) // public ones

	exchanges int
	log       []call
	now, most int // exchanges at once
	idle      int // CloseIdle calls
	last      provider.Token
	ends      map[string]time.Duration // true boot time at which each token dies
	secrets   map[string]string        // which secret brought each token
}

type call struct {
	at     time.Duration // boot time
	secret string
	req    provider.Request
}

func newServer(c *clock) *server {
	return &server{clock: c, life: 1799 * time.Second, ends: map[string]time.Duration{}, secrets: map[string]string{}}
}

func (s *server) set(f func(*server)) { s.mu.Lock(); defer s.mu.Unlock(); f(s) }

func (s *server) count() int   { return get(s, func(s *server) int { return s.exchanges }) }
func (s *server) dropped() int { return get(s, func(s *server) int { return s.idle }) }
func (s *server) atOnce() int  { return get(s, func(s *server) int { return s.most }) }
func (s *server) secretOf(tok string) string {
	return get(s, func(s *server) string { return s.secrets[tok] })
}

func get[T any](s *server, f func(*server) T) T { s.mu.Lock(); defer s.mu.Unlock(); return f(s) }

// calls are the exchanges so far.
func (s *server) calls() []call {
	return get(s, func(s *server) []call { return slices.Clone(s.log) })
}

func (s *server) Origin(server string) (string, error) {
	if server == "" {
		server = "https://csp.example"
	}
	return server, nil
}
func (s *server) CheckSecret(p string) (secret.Text, error) { return secret.New(p), nil }
func (s *server) CloseIdle()                                { s.set(func(s *server) { s.idle++ }) }

func (s *server) Details(context.Context, provider.Credential) (provider.Details, error) {
	s.mu.Lock()
	details := s.details
	s.mu.Unlock()
	if details != nil {
		return details()
	}
	return provider.Details{OrgID: "org", TokenName: "ci", Expiry: provider.Expiry{Known: true, Never: true}}, nil
}

func (s *server) Exchange(ctx context.Context, c provider.Credential, r provider.Request) (provider.Token, error) {
	s.mu.Lock()
	s.exchanges++
	s.now++
	s.most = max(s.most, s.now)
	s.log = append(s.log, call{s.clock.Now().Boot, c.Secret.Reveal(), r})
	n, delay, hang, gate := s.exchanges, s.delay, s.hang, s.gate
	err := s.fail
	if s.judge != nil {
		err = s.judge(n, r)
	}
	s.mu.Unlock()
	defer s.set(func(s *server) { s.now-- })
	if hang {
		gate = make(chan struct{})
	}
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return provider.Token{}, &provider.Error{Class: provider.Transient, Message: "no answer in time", Err: ctx.Err()}
		}
	}
	select {
	case <-time.After(delay):
	case <-ctx.Done():
		return provider.Token{}, &provider.Error{Class: provider.Transient, Message: "no answer in time", Err: ctx.Err()}
	}
	if err != nil {
		return provider.Token{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.answer(n, c), nil
}

// epoch is the server's time when the machine was started: not a whole second.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 730e6, time.UTC)

func (s *server) answer(n int, c provider.Credential) provider.Token {
	boot := s.clock.Now().Boot
	now := epoch.Add(boot + s.skew)
	if !s.same || s.last.Access.IsZero() || s.ends[s.last.Access.Reveal()] <= boot {
		value := fmt.Sprintf("token-%d", n)
		s.last = provider.Token{Access: secret.New(value), Type: "Bearer", ExpiresIn: s.life}
		s.ends[value], s.secrets[value] = boot+s.life, c.Secret.Reveal()
		if !s.opaque {
			// Claims are whole seconds, and the end is what they say.
			s.last.IssuedAt = now.Truncate(time.Second)
			s.last.ExpiresAt = s.last.IssuedAt.Add(s.life)
			s.ends[value] = s.last.ExpiresAt.Sub(now) + boot
		}
		if s.id {
			exp := now.Truncate(time.Second).Add(s.life - s.idLess)
			s.last.ID = secret.New(jwt(fmt.Sprintf(`{"exp":%d,"n":%d}`, exp.Unix(), n)))
			s.ends[s.last.ID.Reveal()] = exp.Sub(now) + boot
		}
	}
	t := s.last
	t.ServerTime = now.Truncate(time.Second)
	if s.silent {
		t.ExpiresIn = 0
	}
	if s.undated {
		t.ServerTime = time.Time{}
	}
	if s.edit != nil {
		s.edit(&t)
	}
	return t
}

// jwt makes a token with these claims and no signature worth the name.
func jwt(claims string) string {
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
}

// idleFirst judges that an exchange came after idle connections were dropped.
func (s *server) idleFirst(before int, t *testing.T) func(int, provider.Request) error {
	return func(int, provider.Request) error {
		if s.idle == before {
			t.Error("an exchange went over a connection from before the sleep")
		}
		return nil
	}
}

// leftAtServer is the life that a token has by the server's clock.
func (s *server) leftAtServer(token string) time.Duration {
	return get(s, func(s *server) time.Duration { return s.ends[token] }) - s.clock.Now().Boot
}

// store is a store in memory that can fail, and hang, for chosen profiles.
type store struct {
	mu     sync.Mutex
	items  map[string]provider.Credential
	fail   error // of every call
	putErr error // of Put alone
	delErr error // of Delete alone
	hang   map[string]bool
	reads  int
	prompt int    // reads that might have asked
	after  func() // called after each change, with the lock held
}

func newStore() *store {
	return &store{items: map[string]provider.Credential{}, hang: map[string]bool{}}
}

func (s *store) set(f func(*store)) { s.mu.Lock(); defer s.mu.Unlock(); f(s) }

// secret is what the store holds for a profile; empty for nothing.
func (s *store) secret(profile string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.items[profile].Secret.Reveal()
}

func (s *store) Get(ctx context.Context, profile string, p provider.Prompt) (provider.Credential, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	if p == provider.MayPrompt {
		s.prompt++
	}
	if s.hang[profile] {
		s.mu.Unlock()
		<-ctx.Done()
		s.mu.Lock()
		return provider.Credential{}, locked
	}
	c, ok := s.items[profile]
	switch {
	case s.fail != nil && !(p == provider.MayPrompt && s.fail == locked):
		return provider.Credential{}, s.fail
	case !ok:
		return provider.Credential{}, provider.ErrNoSecret
	}
	return c, nil
}

func (s *store) Put(_ context.Context, profile string, c provider.Credential, _ provider.Prompt) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	if s.putErr != nil {
		return s.putErr
	}
	s.items[profile] = c
	if s.after != nil {
		s.after()
	}
	return nil
}

func (s *store) Delete(_ context.Context, profile string, _ provider.Prompt) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	if s.delErr != nil {
		return s.delErr
	}
	if _, ok := s.items[profile]; !ok {
		return provider.ErrNoSecret
	}
	delete(s.items, profile)
	if s.after != nil {
		s.after()
	}
	return nil
}

func (s *store) State(context.Context) provider.StoreState {
	return provider.StoreState{Kind: provider.Memory, Status: provider.StoreReady}
}

// locked is a store that waits for a passphrase. A read that may prompt gets
// past it.
var locked error = &provider.StoreError{State: provider.StoreState{
	Kind: provider.Keychain, Status: provider.StoreLocked, Detail: "the keychain is locked", Hint: "unlock it"}}
