package keychain

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zalando/go-keyring"

	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
)

// scripted is a system whose calls do what a test says.
type scripted struct {
	mu      sync.Mutex
	state   provider.StoreState
	items   map[string]string
	before  func(call string) error // runs before a call takes effect; may block
	running int                     // calls that have not come back
	most    int                     // the most that ran at once
	stopped int                     // interrupts
}

func newScripted() *scripted {
	return &scripted{items: map[string]string{}, state: provider.StoreState{Kind: provider.Keychain, Status: provider.StoreReady}}
}

func (s *scripted) script(f func(call string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = f
}

func (s *scripted) call(name string, effect func() error) error {
	s.mu.Lock()
	before := s.before
	s.running++
	s.most = max(s.most, s.running)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.running--
		s.mu.Unlock()
	}()
	if before != nil {
		if err := before(name); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return effect()
}

func (s *scripted) probe(context.Context) provider.StoreState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

func (s *scripted) get(_ context.Context, profile string, _ provider.Prompt) (doc string, err error) {
	err = s.call("get", func() error {
		var ok bool
		if doc, ok = s.items[profile]; !ok {
			return keyring.ErrNotFound
		}
		return nil
	})
	return doc, err
}

func (s *scripted) set(_ context.Context, profile, doc string, _ provider.Prompt) error {
	return s.call("set", func() error { s.items[profile] = doc; return nil })
}

func (s *scripted) remove(_ context.Context, profile string, _ provider.Prompt) error {
	return s.call("remove", func() error {
		if _, ok := s.items[profile]; !ok {
			return keyring.ErrNotFound
		}
		delete(s.items, profile)
		return nil
	})
}

func (s *scripted) interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped++
}

func (s *scripted) explain(error) *provider.StoreError { return nil }
func (s *scripted) close()                             {}

func (s *scripted) counts() (running, most, stopped int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running, s.most, s.stopped
}

func (s *scripted) item(profile string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.items[profile]
}

// hang blocks the calls of one name until release is called; those after it
// go through.
func (s *scripted) hang(name string) (release func()) {
	gate := make(chan struct{})
	s.script(func(call string) error {
		if call == name {
			<-gate
		}
		return nil
	})
	return func() { close(gate) }
}

// inGuard runs f in a bubble where time is not real.
func inGuard(t *testing.T, f func(t *testing.T, k *Keychain, s *scripted)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newScripted()
		k := newKeychain(s, options{Service, quickPatience, promptPatience})
		f(t, k, s)
		k.Close()
	})
}

func cred(text string) provider.Credential {
	return provider.Credential{Binding: provider.Binding{Provider: "csp", Origin: "https://" + text + ".example"}, Secret: secret.New(text)}
}

func mustPut(t *testing.T, k *Keychain, text string) {
	t.Helper()
	if err := k.Put(t.Context(), "p", cred(text), provider.NoPrompt); err != nil {
		t.Fatal(err)
	}
}

func wantSecret(t *testing.T, k *Keychain, want string) {
	t.Helper()
	c, err := k.Get(t.Context(), "p", provider.NoPrompt)
	if want == "" && !errors.Is(err, provider.ErrNoSecret) || want != "" && (err != nil || c.Secret.Reveal() != want) {
		t.Errorf("got %q, %v; want %q", c.Secret.Reveal(), err, want)
	}
}

func wantFailure(t *testing.T, err error, status provider.StoreStatus, detail string) {
	t.Helper()
	e, ok := errors.AsType[*provider.StoreError](err)
	if !ok || e.State.Status != status || !strings.Contains(e.Error(), detail) {
		t.Errorf("got %v (%+v), want %s with %q", err, e, status, detail)
	}
}

// T13: each call is bounded: 2 s where nobody is asked, 30 s where a person
// may be typing.
func TestT13EveryCallEnds(t *testing.T) {
	calls := map[string]func(context.Context, *Keychain, provider.Prompt) error{
		"get": func(ctx context.Context, k *Keychain, p provider.Prompt) error {
			_, err := k.Get(ctx, "p", p)
			return err
		},
		"set":    func(ctx context.Context, k *Keychain, p provider.Prompt) error { return k.Put(ctx, "p", cred("a"), p) },
		"remove": func(ctx context.Context, k *Keychain, p provider.Prompt) error { return k.Delete(ctx, "p", p) },
	}
	for name, call := range calls {
		for p, want := range map[provider.Prompt]time.Duration{provider.NoPrompt: 2 * time.Second, provider.MayPrompt: 30 * time.Second} {
			t.Run(fmt.Sprintf("%s prompt %v", name, p), func(t *testing.T) {
				inGuard(t, func(t *testing.T, k *Keychain, s *scripted) {
					release := s.hang(name)
					start := time.Now()
					wantFailure(t, call(t.Context(), k, p), provider.StoreUnavailable, "did not answer within "+want.String())
					if d := time.Since(start); d < want || d > want+graceAfter {
						t.Errorf("it took %v", d)
					}
					if _, _, stopped := s.counts(); stopped != 1 {
						t.Errorf("interrupted %d times", stopped)
					}
					release()
				})
			})
		}
	}
}

func TestT13CallerMayLeaveEarlier(t *testing.T) {
	inGuard(t, func(t *testing.T, k *Keychain, s *scripted) {
		release := s.hang("get")
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		start := time.Now()
		_, err := k.Get(ctx, "p", provider.MayPrompt)
		if d := time.Since(start); err == nil || d > 100*time.Millisecond+graceAfter {
			t.Errorf("%v after %v", err, d)
		}
		release()
	})
}

// While a call is stuck, others are refused at once and nothing piles up; when
// it came back, all is well.
func TestT13StuckCallDoesNotBlockTheOthers(t *testing.T) {
	inGuard(t, func(t *testing.T, k *Keychain, s *scripted) {
		s.items["p"] = mustEncode(t, "a")
		release := s.hang("get")
		_, err := k.Get(t.Context(), "p", provider.NoPrompt)
		wantFailure(t, err, provider.StoreUnavailable, "did not answer")
		start := time.Now()
		for range 100 {
			_, err := k.Get(t.Context(), "p", provider.MayPrompt)
			wantFailure(t, err, provider.StoreUnavailable, "has not come back")
		}
		if st := k.State(t.Context()); st.Status != provider.StoreUnavailable || !strings.Contains(st.Detail, "has not come back") || st.Hint == "" {
			t.Errorf("state %+v", st)
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("the refusals took %v", d)
		}
		release()
		synctest.Wait()
		s.script(nil)
		wantSecret(t, k, "a")
	})
}

// A call that never comes back is given up in the end: a new one is tried
// every half a minute, until three are lost.
func TestT13LostWorkersAreBounded(t *testing.T) {
	inGuard(t, func(t *testing.T, k *Keychain, s *scripted) {
		release := s.hang("get")
		for range 1000 {
			if _, err := k.Get(t.Context(), "p", provider.NoPrompt); err == nil {
				t.Fatal("a hanging call succeeded")
			}
			time.Sleep(time.Second)
		}
		if running, _, _ := s.counts(); running != maxStuck {
			t.Errorf("%d calls hang, want %d", running, maxStuck)
		}
		release()
		synctest.Wait()
		s.script(nil)
		wantSecret(t, k, "")
	})
}

func TestCallsRunOneAtATime(t *testing.T) {
	inGuard(t, func(t *testing.T, k *Keychain, s *scripted) {
		s.script(func(string) error { time.Sleep(time.Millisecond); return nil })
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { mustPut(t, k, "a") })
		}
		wg.Wait()
		if _, most, _ := s.counts(); most != 1 {
			t.Errorf("%d calls at once", most)
		}
	})
}

// Somebody who may not prompt does not wait for the one who is typing.
func TestQuickCallDoesNotWaitForADialog(t *testing.T) {
	inGuard(t, func(t *testing.T, k *Keychain, s *scripted) {
		release := s.hang("get")
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = k.Get(t.Context(), "p", provider.MayPrompt) })
		synctest.Wait()
		start := time.Now()
		_, err := k.Get(t.Context(), "p", provider.NoPrompt)
		wantFailure(t, err, provider.StoreUnavailable, "busy")
		if d := time.Since(start); d != 2*time.Second {
			t.Errorf("it took %v", d)
		}
		if st := k.State(t.Context()); st.Status != provider.StoreReady {
			t.Errorf("state %+v", st)
		}
		release()
		wg.Wait()
	})
}

func TestPanicIsAnError(t *testing.T) {
	inGuard(t, func(t *testing.T, k *Keychain, s *scripted) {
		s.script(func(string) error {
			var p *int
			*p = 1
			return nil
		})
		_, err := k.Get(t.Context(), "p", provider.NoPrompt)
		wantFailure(t, err, provider.StoreUnavailable, "panicked")
		s.script(nil)
		mustPut(t, k, "a")
	})
}

func TestT13LockedAndNoPromptMakesNoCall(t *testing.T) {
	inGuard(t, func(t *testing.T, k *Keychain, s *scripted) {
		s.state = provider.StoreState{Kind: provider.Keychain, Status: provider.StoreLocked, Detail: "locked", Hint: "unlock"}
		_, err := k.Get(t.Context(), "p", provider.NoPrompt)
		wantFailure(t, err, provider.StoreLocked, "locked")
		wantFailure(t, k.Put(t.Context(), "p", cred("a"), provider.NoPrompt), provider.StoreLocked, "locked")
		wantFailure(t, k.Delete(t.Context(), "p", provider.NoPrompt), provider.StoreLocked, "locked")
		if _, most, _ := s.counts(); most != 0 {
			t.Error("the keychain was called")
		}
	})
}

func TestReadBackFindsWhatWasNotKept(t *testing.T) {
	inGuard(t, func(t *testing.T, k *Keychain, s *scripted) {
		s.script(func(call string) error {
			if call == "get" { // as if the write before had done nothing
				s.mu.Lock()
				delete(s.items, "p")
				s.mu.Unlock()
			}
			return nil
		})
		wantFailure(t, k.Put(t.Context(), "p", cred("a"), provider.NoPrompt), provider.StoreUnavailable, "did not keep")
	})
}

func TestT17TooBigSaysWhere(t *testing.T) {
	inGuard(t, func(t *testing.T, k *Keychain, s *scripted) {
		s.script(func(string) error { return keyring.ErrSetDataTooBig })
		err := k.Put(t.Context(), "p", cred("a"), provider.NoPrompt)
		wantFailure(t, err, provider.StoreUnavailable, "longer than this keychain can hold")
		if e, _ := errors.AsType[*provider.StoreError](err); !strings.Contains(e.State.Hint, "--store file") {
			t.Errorf("hint %q", e.State.Hint)
		}
		if len(k.doubts.m) != 0 {
			t.Error("a write that was never made is in doubt")
		}
	})
}

func mustEncode(t *testing.T, text string) string {
	t.Helper()
	doc, err := encodeItem(provider.Keychain, cred(text))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}
