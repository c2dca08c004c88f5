package agent_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
)

// rotator is a server that replaces the secret at each exchange, and refuses
// every one before it.
type rotator struct {
	*server
	mu      sync.Mutex
	valid   string
	n       int
	lose    bool // the answer gets lost after the secret was replaced
	keep    bool // the secret is not replaced this time
	spoil   bool // the answer holds a new secret, and a token that is none
	offered []string
}

func (r *rotator) Rotates() bool { return true }

func (r *rotator) Details(context.Context, provider.Credential) (provider.Details, error) {
	return provider.Details{}, provider.ErrNoDetails
}

func (r *rotator) Exchange(ctx context.Context, c provider.Credential, req provider.Request) (provider.Token, error) {
	t, err := r.server.Exchange(ctx, c, req)
	if err != nil {
		return t, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.offered = append(r.offered, c.Secret.Reveal())
	if c.Secret.Reveal() != r.valid {
		return provider.Token{}, permanent
	}
	if !r.keep {
		r.n++
		r.valid = fmt.Sprintf("secret-%d", r.n)
		t.Replacement = secret.New(r.valid)
	}
	if r.spoil {
		return provider.Token{Replacement: t.Replacement}, &provider.Error{Class: provider.WrongServer, Status: 200, Message: "no token"}
	}
	if r.lose {
		return provider.Token{}, &provider.Error{Class: provider.Transient, Message: "the connection was closed"}
	}
	return t, nil
}

func (r *rotator) alter(f func(*rotator)) { r.mu.Lock(); defer r.mu.Unlock(); f(r) }

// inRotation runs f in a world with the profile prod, whose secret "secret-0"
// rotates, logged in as it happens: with a first exchange.
func inRotation(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := newClock()
		w := &world{t: t, clock: c, server: newServer(c), store: newStore(), file: newStore(), state: &stateFile{}}
		w.rotator = &rotator{server: w.server, valid: "secret-0"}
		w.start()
		defer func() { w.stop() }()
		if err := w.loginRotating("secret-0"); err != nil {
			t.Fatal(err)
		}
		f(t, w)
	})
}

func (w *world) loginRotating(s string) error {
	_, err := w.Login(context.Background(), "prod", ipc.LoginRequest{Secret: secret.NewWire(s), Store: provider.File, Org: "org"})
	return err
}

func (w *world) stored() provider.Credential {
	c, err := w.file.Get(context.Background(), "prod", provider.NoPrompt)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func TestP10TheNewSecretIsStoredBeforeItsTokenIsSeen(t *testing.T) {
	inRotation(t, func(t *testing.T, w *world) {
		for i := 1; i < 5; i++ {
			if got := w.stored(); got.Secret.Reveal() != fmt.Sprint("secret-", i) || got.Previous.Reveal() != fmt.Sprint("secret-", i-1) {
				t.Fatalf("after %d exchanges: %q, before it %q", i, got.Secret.Reveal(), got.Previous.Reveal())
			}
			w.mustToken("")
			if _, err := w.fresh(); err != nil {
				t.Fatal(err)
			}
		}
		// Once the secret has worked without being replaced, the one before it goes.
		w.rotator.alter(func(r *rotator) { r.keep = true })
		if _, err := w.fresh(); err != nil {
			t.Fatal(err)
		}
		if got := w.stored(); !got.Previous.IsZero() {
			t.Errorf("the one before is still kept: %q", got.Previous.Reveal())
		}
		if strings.Contains(w.state.text(), "underway") || strings.Contains(w.state.text(), "pending") {
			t.Errorf("left over: %s", w.state.text())
		}
	})
}

func TestP10AStoreThatFailsLosesNothing(t *testing.T) {
	inRotation(t, func(t *testing.T, w *world) {
		before := w.mustToken("")
		w.file.set(func(s *store) { s.putErr = errFull })
		if _, err := w.fresh(); err == nil {
			t.Fatal("a token was handed out whose secret was not stored")
		}
		// The good token goes on, and no other exchange is made meanwhile.
		if got := w.mustToken(""); got != before {
			t.Errorf("got %q", got)
		}
		n := w.server.count()
		if _, err := w.fresh(); err == nil {
			t.Fatal("a token was handed out whose secret was not stored")
		}
		if got := w.server.count(); got != n {
			t.Errorf("%d more exchanges", got-n)
		}
		w.file.set(func(s *store) { s.putErr = nil })
		time.Sleep(time.Minute)
		if got := w.stored().Secret.Reveal(); got != w.rotator.valid {
			t.Errorf("stored %q, valid is %q", got, w.rotator.valid)
		}
		if _, err := w.fresh(); err != nil {
			t.Error(err)
		}
	})
}

func TestP10AStoreThatFailsUntilTheEndIsTriedOnceMoreThen(t *testing.T) {
	inRotation(t, func(t *testing.T, w *world) {
		w.file.set(func(s *store) { s.putErr = errFull })
		_, _ = w.fresh()
		w.file.set(func(s *store) { s.putErr = nil })
		w.restart()
		if _, err := w.token(""); err != nil {
			t.Error(err)
		}
	})
}

// The one window that can't be closed: it says exactly what happened.
func TestP10AnAnswerThatGetsLost(t *testing.T) {
	inRotation(t, func(t *testing.T, w *world) {
		w.rotator.alter(func(r *rotator) { r.lose = true })
		_, err := w.fresh()
		e := w.mustFail(err, ipc.CodeRefused)
		for _, want := range []string{"is lost", "cut off before its answer arrived", "2000-01-01"} {
			if !strings.Contains(e.Message, want) {
				t.Errorf("%q does not say %q", e.Message, want)
			}
		}
		if !strings.Contains(e.Hint, "cspctl login prod") {
			t.Errorf("hint %q", e.Hint)
		}
		w.restart()
		_, err = w.token("")
		if e := w.mustFail(err, ipc.CodeRefused); !strings.Contains(e.Message, "is lost") {
			t.Errorf("after a restart: %q", e.Message)
		}
		// A new one, and all is well.
		w.rotator.alter(func(r *rotator) { r.lose, r.valid = false, "granted" })
		if err := w.loginRotating("granted"); err != nil {
			t.Fatal(err)
		}
		w.mustToken("")
		if strings.Contains(w.state.text(), "underway") {
			t.Errorf("left over: %s", w.state.text())
		}
	})
}

// Lost before the server saw it: the retry finds the secret as it was.
func TestP10ARequestThatGetsLost(t *testing.T) {
	inRotation(t, func(t *testing.T, w *world) {
		w.server.set(func(s *server) {
			s.fail = &provider.Error{Class: provider.Transient, Message: "the connection was closed"}
		})
		if _, err := w.fresh(); err == nil {
			t.Fatal("no error")
		}
		w.server.set(func(s *server) { s.fail = nil })
		time.Sleep(time.Minute)
		if _, err := w.fresh(); err != nil {
			t.Error(err)
		}
		if strings.Contains(w.state.text(), "underway") {
			t.Errorf("left over: %s", w.state.text())
		}
	})
}

func TestP10ANewSecretInAnAnswerThatIsOfNoOtherUse(t *testing.T) {
	inRotation(t, func(t *testing.T, w *world) {
		w.rotator.alter(func(r *rotator) { r.spoil = true })
		_, err := w.fresh()
		w.mustFail(err, ipc.CodeWrongServer)
		w.rotator.alter(func(r *rotator) { r.spoil = false })
		time.Sleep(time.Minute)
		if _, err := w.fresh(); err != nil {
			t.Error(err)
		}
	})
}

// A refusal by a server that did answer is no lost token.
func TestP10ARevokedSecretIsNotCalledLost(t *testing.T) {
	inRotation(t, func(t *testing.T, w *world) {
		w.rotator.alter(func(r *rotator) { r.valid = "revoked by somebody" })
		_, err := w.fresh()
		if e := w.mustFail(err, ipc.CodeRefused); strings.Contains(e.Message, "lost") {
			t.Errorf("got %q", e.Message)
		}
	})
}

func TestP10TheSecretBeforeIsTriedWhereTheNewOneNeverWorked(t *testing.T) {
	inRotation(t, func(t *testing.T, w *world) {
		w.rotator.alter(func(r *rotator) { r.valid = "secret-0" }) // the server was set back
		if _, err := w.fresh(); err != nil {
			t.Fatal(err)
		}
		if got := w.stored(); got.Secret.Reveal() != w.rotator.valid || got.Previous.Reveal() != "secret-0" {
			t.Errorf("stored %q, %q", got.Secret.Reveal(), got.Previous.Reveal())
		}
	})
}

func TestP10ALoginThatIsRefusedPutsTheOldSecretBack(t *testing.T) {
	inRotation(t, func(t *testing.T, w *world) {
		w.mustFail(w.loginRotating("no good"), ipc.CodeRefused)
		if got := w.stored().Secret.Reveal(); got != "secret-1" {
			t.Errorf("stored %q", got)
		}
		if _, err := w.fresh(); err != nil {
			t.Error(err)
		}
		if _, err := w.Login(t.Context(), "other", ipc.LoginRequest{Secret: secret.NewWire("no good"), Store: provider.File, Org: "org"}); code(err) != ipc.CodeRefused {
			t.Error(err)
		}
		if list, err := w.Profiles(); err != nil || len(list.Profiles) != 1 {
			t.Errorf("%v, %v", list, err)
		}
	})
}

// A login that was cut off by the end of the machine: the secret is there, and
// is exchanged when somebody asks.
func TestP10ALoginThatIsCutOffLosesNothing(t *testing.T) {
	inRotation(t, func(t *testing.T, w *world) {
		w.rotator.alter(func(r *rotator) { r.valid = "granted" })
		w.server.set(func(s *server) { s.hang = true })
		done := make(chan error, 1)
		go func() { done <- w.loginRotating("granted") }()
		synctest.Wait()
		state, items := w.state.text(), w.file.secret("prod")
		if items != "granted" || w.stored().Previous.Reveal() != "secret-1" || !strings.Contains(state, "pending") {
			t.Errorf("in the middle: %q, %q, %s", items, w.stored().Previous.Reveal(), state)
		}
		cut := w.stored()
		w.server.set(func(s *server) { s.hang = false })
		<-done
		// What a killed agent would have left.
		w.stop()
		w.state.set(func(f *stateFile) { f.b = []byte(state) })
		_ = w.file.Put(t.Context(), "prod", cut, provider.NoPrompt)
		w.rotator.alter(func(r *rotator) { r.valid = "granted" })
		w.start()
		if _, err := w.token(""); err != nil {
			t.Error(err)
		}
		if strings.Contains(w.state.text(), "pending") {
			t.Errorf("left over: %s", w.state.text())
		}
	})
}

func TestP10OneExchangeAtATimeWhateverItIsFor(t *testing.T) {
	inRotation(t, func(t *testing.T, w *world) {
		w.server.set(func(s *server) { s.delay = time.Second })
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				if _, err := w.ask(ipc.TokenRequest{Fresh: i%2 == 0, Scope: []string{fmt.Sprint("scope", i%4)}}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := w.server.atOnce(); n != 1 {
			t.Errorf("%d at once", n)
		}
		seen := slices.Clone(w.rotator.offered)
		slices.Sort(seen)
		if len(slices.Compact(seen)) != len(w.rotator.offered) {
			t.Errorf("a secret was used twice: %v", w.rotator.offered)
		}
	})
}

func TestATokenInMemoryThatRotatesWarns(t *testing.T) {
	inRotation(t, func(t *testing.T, w *world) {
		w.rotator.alter(func(r *rotator) { r.valid = "granted" })
		res, err := w.Login(t.Context(), "mem", ipc.LoginRequest{Secret: secret.NewWire("granted"), Store: provider.Memory, Org: "org"})
		if err != nil || !strings.Contains(strings.Join(res.Warnings, " "), "lost for good") {
			t.Errorf("%v, %v", res.Warnings, err)
		}
	})
}
