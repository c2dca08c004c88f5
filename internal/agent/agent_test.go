package agent_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cspctl/cspctl/internal/agent"
	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
)

// clock is the time of a synctest bubble on two clocks, with a machine that
// can be suspended and a wall clock that can be stepped.
type clock struct {
	start time.Time
	mu    sync.Mutex
	slept time.Duration
	step  time.Duration
}

func newClock() *clock { return &clock{start: time.Now()} }

func (c *clock) Now() agent.Instant {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	return agent.Instant{Wall: now.Add(c.slept + c.step).Round(0), Boot: now.Sub(c.start) + c.slept}
}

// suspend lets time pass on both clocks, and none for timers.
func (c *clock) suspend(d time.Duration) { c.mu.Lock(); c.slept += d; c.mu.Unlock() }

// stepWall sets the wall clock by d.
func (c *clock) stepWall(d time.Duration) { c.mu.Lock(); c.step += d; c.mu.Unlock() }

// server is an upstream whose clock is never stepped and never sleeps.
type server struct {
	clock *clock
	mu    sync.Mutex
	life  time.Duration
	skew  time.Duration // of its Date header and claims against the true time
	fail  error
	delay time.Duration
	hang  bool
	same  bool

	exchanges int
	idle      int // CloseIdle calls
	last      provider.Token
	ends      map[string]time.Duration // true boot time at which each token dies
}

func newServer(c *clock) *server {
	return &server{clock: c, life: 1799 * time.Second, ends: map[string]time.Duration{}}
}

func (s *server) set(f func(*server)) { s.mu.Lock(); f(s); s.mu.Unlock() }
func (s *server) count() int          { s.mu.Lock(); defer s.mu.Unlock(); return s.exchanges }

func (s *server) Origin(string) (string, error)             { return "https://csp.example", nil }
func (s *server) CheckSecret(p string) (secret.Text, error) { return secret.New(p), nil }
func (s *server) CloseIdle()                                { s.set(func(s *server) { s.idle++ }) }
func (s *server) Details(context.Context, provider.Credential) (provider.Details, error) {
	return provider.Details{OrgID: "org", TokenName: "ci", Expiry: provider.Expiry{Known: true, Never: true}}, nil
}

func (s *server) Exchange(ctx context.Context, c provider.Credential, r provider.Request) (provider.Token, error) {
	s.mu.Lock()
	s.exchanges++
	n, delay, hang, fail := s.exchanges, s.delay, s.hang, s.fail
	s.mu.Unlock()
	if hang {
		<-ctx.Done()
		return provider.Token{}, &provider.Error{Class: provider.Transient, Message: "no answer in time", Err: ctx.Err()}
	}
	time.Sleep(delay)
	if fail != nil {
		return provider.Token{}, fail
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	boot := s.clock.Now().Boot
	date := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(boot + s.skew)
	if s.same && s.last.Access.Len() > 0 && s.ends[s.last.Access.Reveal()] > boot {
		t := s.last
		t.ServerTime = date.Truncate(time.Second)
		return t, nil
	}
	value := fmt.Sprintf("token-%d", n)
	s.ends[value] = boot + s.life
	s.last = provider.Token{
		Access: secret.New(value), Type: "Bearer", ExpiresIn: s.life,
		IssuedAt: date, ExpiresAt: date.Add(s.life), ServerTime: date.Truncate(time.Second),
	}
	return s.last, nil
}

// leftAtServer is the life that a token has by the server's clock.
func (s *server) leftAtServer(token string) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ends[token] - s.clock.Now().Boot
}

// store is a store in memory whose reads can fail.
type store struct {
	mu    sync.Mutex
	items map[string]provider.Credential
	fail  error
	reads int
}

func (s *store) Get(_ context.Context, profile string, _ provider.Prompt) (provider.Credential, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	c, ok := s.items[profile]
	switch {
	case s.fail != nil:
		return c, s.fail
	case !ok:
		return c, provider.ErrNoSecret
	}
	return c, nil
}

func (s *store) Put(_ context.Context, profile string, c provider.Credential, _ provider.Prompt) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.items[profile] = c
	return s.fail
}

func (s *store) Delete(_ context.Context, profile string, _ provider.Prompt) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.items, profile)
	return s.fail
}

func (s *store) State(context.Context) provider.StoreState {
	return provider.StoreState{Kind: provider.Memory, Status: provider.StoreReady}
}

// stateFile is a state file in memory that can refuse to be written.
type stateFile struct {
	mu   sync.Mutex
	b    []byte
	fail error
}

func (f *stateFile) Path() string { return "state.json" }
func (f *stateFile) Read() ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.b, nil
}
func (f *stateFile) Write(b []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail == nil {
		f.b = b
	}
	return f.fail
}

// world is an agent with everything around it.
type world struct {
	*agent.Agent
	t      *testing.T
	clock  *clock
	server *server
	store  *store
	state  *stateFile
	stop   func()
}

// newWorld makes a world inside a bubble, with one profile, prod, logged in
// without a first exchange.
func newWorld(t *testing.T) *world {
	c := newClock()
	w := &world{t: t, clock: c, server: newServer(c), store: &store{items: map[string]provider.Credential{}}, state: &stateFile{}}
	w.start()
	if _, err := w.Login(t.Context(), "prod", ipc.LoginRequest{Secret: secret.NewWire("s"), Store: provider.Memory, NoVerify: true}); err != nil {
		t.Fatal(err)
	}
	return w
}

// start makes an agent on the world's store and state; used again, it is a
// restart.
func (w *world) start() {
	w.t.Helper()
	a, err := agent.New(agent.Options{
		Providers: map[string]agent.Provider{provider.CSP: w.server},
		Stores:    map[string]agent.Store{provider.Memory: w.store},
		State:     w.state, Clock: w.clock,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { a.Run(ctx); close(done) }()
	w.Agent = a
	w.stop = func() { cancel(); <-done; a.Close() }
}

// token asks for a token of prod.
func (w *world) token(minTTL string) (string, error) {
	t, err := w.Token(context.Background(), ipc.TokenRequest{Profile: "prod", MinTTL: minTTL})
	return t.AccessToken.Reveal(), err
}

func (w *world) mustToken(minTTL string) string {
	w.t.Helper()
	tok, err := w.token(minTTL)
	if err != nil {
		w.t.Fatal(err)
	}
	return tok
}

func code(err error) ipc.Code {
	if e, ok := err.(*ipc.Error); ok {
		return e.Code
	}
	return ""
}

func TestP5ThousandCallersOneExchange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.server.set(func(s *server) { s.delay = time.Second })
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				if tok := w.mustToken(""); tok != "token-1" {
					t.Errorf("got %q", tok)
				}
			})
		}
		wg.Wait()
		if n := w.server.count(); n != 1 {
			t.Errorf("%d exchanges", n)
		}
	})
}

func TestACallerThatGivesUpFailsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.server.set(func(s *server) { s.delay = 5 * time.Second })
		ctx, cancel := context.WithCancel(t.Context())
		first := make(chan error, 1)
		go func() {
			_, err := w.Token(ctx, ipc.TokenRequest{Profile: "prod"})
			first <- err
		}()
		synctest.Wait()
		second := make(chan string, 1)
		go func() { second <- w.mustToken("") }()
		synctest.Wait()
		cancel()
		if err := <-first; code(err) != ipc.CodeUnreachable {
			t.Errorf("the first got %v", err)
		}
		if tok := <-second; tok != "token-1" {
			t.Errorf("the second got %q", tok)
		}
	})
}

func TestP6PermanentRefusalIsRememberedAcrossRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.server.set(func(s *server) {
			s.fail = &provider.Error{Class: provider.Permanent, Status: 400, Message: "the API token was refused"}
		})
		for range 10 {
			if _, err := w.token(""); code(err) != ipc.CodeRefused || !strings.Contains(err.(*ipc.Error).Hint, "cspctl login prod") {
				t.Fatalf("got %v", err)
			}
		}
		w.stop()
		w.start()
		defer func() { w.stop() }()
		time.Sleep(48 * time.Hour)
		if _, err := w.token(""); code(err) != ipc.CodeRefused {
			t.Errorf("after a restart: %v", err)
		}
		if n := w.server.count(); n != 1 {
			t.Errorf("%d exchanges", n)
		}
		// --fresh may try once a minute.
		w.server.set(func(s *server) { s.fail = nil })
		if _, err := w.Token(t.Context(), ipc.TokenRequest{Profile: "prod", Fresh: true}); err != nil {
			t.Errorf("fresh: %v", err)
		}
		w.stop()
		w.start()
		if tok := w.mustToken(""); tok == "" || strings.Contains(string(w.state.b), "refusal") {
			t.Error("the refusal is still remembered")
		}
	})
}

func TestStateHoldsNoSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.mustToken("")
		if !json.Valid(w.state.b) || strings.Contains(string(w.state.b), `"s"`) || strings.Contains(string(w.state.b), "token-1") {
			t.Errorf("%s", w.state.b)
		}
	})
}
