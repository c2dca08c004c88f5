package agent_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cspctl/cspctl/internal/agent"
	"github.com/cspctl/cspctl/internal/agent/expiry"
	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
	"github.com/cspctl/cspctl/internal/sim"
)

// stateFile is a state file in memory that can refuse to be read or written.
type stateFile struct {
	mu            sync.Mutex
	b             []byte
	fail, readErr error
	writes        int
	after         func()        // called after each write
	gate          chan struct{} // where not nil, whoever wants to write waits for it to be closed
}

func (f *stateFile) Path() string { return "state.json" }
func (f *stateFile) Read() ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.b, f.readErr
}
func (f *stateFile) Write(b []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail == nil {
		f.b = b
		f.writes++
	}
	if f.after != nil {
		f.after()
	}
	return f.fail
}

func (f *stateFile) Lock() (func(), error) {
	f.mu.Lock()
	gate := f.gate
	f.mu.Unlock()
	if gate != nil {
		<-gate
	}
	return func() {}, nil
}

func (f *stateFile) set(g func(*stateFile)) { f.mu.Lock(); defer f.mu.Unlock(); g(f) }

func (f *stateFile) text() string { f.mu.Lock(); defer f.mu.Unlock(); return string(f.b) }

// world is an agent with everything around it.
type world struct {
	*agent.Agent
	t      testing.TB
	clock  *clock
	server *server
	store  *store // of kind memory
	file   *store // of kind file
	state  *stateFile
	end    func()

	// exclusive keeps agents on the same stores apart; nil: there is one.
	exclusive func(ctx context.Context, profile string) (func(), error)

	observe  atomic.Pointer[expiry.Watch] // hears of events
	mu       sync.Mutex
	happened []ipc.Event

	rotator  *rotator       // stands before the server, if not nil
	provider agent.Provider // stands before both
	vault    *vault         // stands before file, if not nil
}

// inWorld runs f in a bubble, in a world with one profile, prod, logged in
// without a first exchange. The agent is stopped at the end, and nothing of it
// may be left.
func inWorld(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.login("prod")
		defer func() { w.stop() }()
		f(t, w)
	})
}

// newWorld makes a world without a profile.
func newWorld(t testing.TB) *world {
	c := newClock()
	w := &world{t: t, clock: c, server: newServer(c), store: newStore(), file: newStore(), state: &stateFile{}}
	w.start()
	return w
}

// login stores the secret of a profile, unchecked: "secret of " and its name.
func (w *world) login(profile string) {
	w.t.Helper()
	if _, err := w.Login(context.Background(), profile, ipc.LoginRequest{
		Secret: secret.NewWire("secret of " + profile), Store: provider.Memory, NoVerify: true, Org: "org"}); err != nil {
		w.t.Fatal(err)
	}
}

// start makes an agent on the world's store and state.
func (w *world) start() {
	w.t.Helper()
	var upstream agent.Provider = w.server
	if w.rotator != nil {
		upstream = w.rotator
	}
	if w.provider != nil {
		upstream = w.provider
	}
	var file agent.Store = w.file
	if w.vault != nil {
		file = w.vault
	}
	a, err := agent.New(agent.Options{
		Providers: map[string]agent.Provider{provider.CSP: upstream},
		Stores:    map[string]agent.Store{provider.Memory: w.store, provider.File: file},
		State:     w.state, Clock: w.clock,
		Verify:       verify,
		DefaultStore: func() string { return provider.Memory },
		Publish:      w.publish,
		Exclusive:    w.exclusive,
		Passphrase:   verifier,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { a.Run(ctx); close(done) }()
	w.Agent = a
	w.end = func() { cancel(); <-done; a.Close() }
}

func (w *world) publish(e ipc.Event) {
	w.mu.Lock()
	w.happened = append(w.happened, e)
	w.mu.Unlock()
	if watch := w.observe.Load(); watch != nil {
		watch.Observe(e)
	}
}

// events returns what happens from now on.
func (w *world) events() func() []ipc.Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.happened = nil
	return func() []ipc.Event { w.mu.Lock(); defer w.mu.Unlock(); return w.happened }
}

func (w *world) stop()    { w.end() }
func (w *world) restart() { w.stop(); w.start() }

// ask asks for a token.
func (w *world) ask(req ipc.TokenRequest) (string, error) {
	if req.Profile == "" {
		req.Profile = "prod"
	}
	t, err := w.Token(context.Background(), req)
	if (err == nil) == t.AccessToken.IsZero() {
		w.t.Errorf("a token of %d bytes came with the error %v", t.AccessToken.Len(), err)
	}
	return t.AccessToken.Reveal(), err
}

func (w *world) token(minTTL string) (string, error) { return w.ask(ipc.TokenRequest{MinTTL: minTTL}) }
func (w *world) fresh() (string, error)              { return w.ask(ipc.TokenRequest{Fresh: true}) }

// mustToken returns a token, which must be there.
func (w *world) mustToken(minTTL string) string {
	w.t.Helper()
	tok, err := w.token(minTTL)
	if err != nil {
		w.t.Fatal(err)
	}
	return tok
}

// mustFail checks that err is one of the wire with this code, or one of these.
func (w *world) mustFail(err error, want ...ipc.Code) *ipc.Error {
	w.t.Helper()
	e, ok := errors.AsType[*ipc.Error](err)
	if !ok || !slices.Contains(want, e.Code) {
		w.t.Fatalf("got %v (%v), want the code %s", err, code(err), want)
	}
	return e
}

// mustCount checks how often the server was asked.
func (w *world) mustCount(n int) {
	w.t.Helper()
	if got := w.server.count(); got != n {
		w.t.Fatalf("%d exchanges, want %d", got, n)
	}
}

// at once checks that f takes no time at all.
func (w *world) atOnce(f func()) {
	w.t.Helper()
	before := time.Now()
	f()
	if d := time.Since(before); d != 0 {
		w.t.Fatalf("it took %v", d)
	}
}

func (w *world) status(profile string) ipc.ProfileStatus {
	w.t.Helper()
	for _, p := range w.Status(context.Background()).Profiles {
		if p.Name == profile {
			return p
		}
	}
	w.t.Fatalf("there is no profile %s", profile)
	return ipc.ProfileStatus{}
}

// caPEM is the certificate of a CA that nobody has.
func caPEM(t testing.TB) string {
	t.Helper()
	ca, err := sim.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	return string(ca.PEM())
}

func code(err error) ipc.Code {
	if e, ok := errors.AsType[*ipc.Error](err); ok {
		return e.Code
	}
	return ""
}

// refused, busy and deny are failures of the server.
var (
	permanent = &provider.Error{Class: provider.Permanent, Status: 400, Code: "invalid_grant", Message: "the API token was refused"}
	needsCode = &provider.Error{Class: provider.PasscodeNeeded, Status: 400, Message: "the server asks for a passcode"}
	denied    = &provider.Error{Class: provider.Refused, Status: 403, Message: "403 forbidden"}
	down      = &provider.Error{Class: provider.Transient, Status: 503, Message: "503 service unavailable"}
)

var errFull = errors.New("no space left on device")
