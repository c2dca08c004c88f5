package agent_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
)

// Each way to hold a passphrase: set with the lock where there is no file
// store, where its key comes from elsewhere, and where it has no passphrase
// yet; else the store's.
func TestLockAndUnlock(t *testing.T) {
	for name, c := range map[string]struct {
		vault  *vault
		given  string // with the lock
		by     string
		opens  string
		closes bool // the store's key goes with the lock
	}{
		"no file store":     {nil, "pw", ipc.UnlockedByOwn, "pw", false},
		"a key file":        {&vault{}, "pw", ipc.UnlockedByOwn, "pw", true},
		"none chosen yet":   {&vault{needs: true}, "pw", ipc.UnlockedByOwn, "pw", false},
		"the store's":       {&vault{needs: true, passphrase: "store"}, "", ipc.UnlockedByStore, "store", true},
		"another was given": {&vault{needs: true, passphrase: "store"}, "pw", ipc.UnlockedByStore, "store", true},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.stop()
				if w.vault = c.vault; c.vault != nil {
					c.vault.store = w.file
				}
				w.start()
				first := w.mustToken("")
				since := w.clock.Now().Wall
				events := w.events()
				r := w.lock(c.given)
				if r.UnlockedBy != c.by || r.Already || r.Since.Before(since.Truncate(time.Second)) {
					t.Errorf("%+v", r)
				}
				w.isLocked()
				if c.vault != nil && c.vault.closed() != c.closes {
					t.Errorf("the store is closed: %v", c.vault.closed())
				}
				// Again changes nothing.
				w.atOnce(func() {
					if again := w.lock("another"); !again.Already || again.Since != r.Since || again.UnlockedBy != c.by {
						t.Errorf("%+v", again)
					}
				})
				e := w.mustFail(w.unlock("another"), ipc.CodeLocked, ipc.CodeStoreLocked)
				if e.Message == "" || e.Retry != 1 {
					t.Errorf("%+v", e)
				}
				w.isLocked()
				time.Sleep(time.Second)
				w.mustUnlock(c.opens)
				if c.vault != nil && (c.vault.closed() || c.vault.passphrase == "pw") {
					t.Errorf("%+v", c.vault)
				}
				if tok := w.mustToken(""); tok == first {
					t.Error("a token of before the lock")
				}
				w.mustCount(2)
				w.mustUnlockNothing()
				kinds := ""
				for _, e := range events() {
					kinds += e.Type + " "
				}
				if kinds != "locked unlocked exchange " {
					t.Errorf("events %q", kinds)
				}
			})
		})
	}
}

// mustUnlockNothing: what is not locked needs no passphrase.
func (w *world) mustUnlockNothing() {
	w.t.Helper()
	if err := w.unlock(""); err != nil && code(err) != ipc.CodePassphraseNotSet {
		w.t.Error(err)
	}
}

func TestLockNeedsAPassphraseThatOpensIt(t *testing.T) {
	inVault(t, "", func(t *testing.T, w *world) {
		tok := w.mustToken("")
		_, err := w.Lock(t.Context(), secret.Text{}, ipc.LockAsked)
		w.mustFail(err, ipc.CodePassphraseNotSet)
		if got := w.mustToken(""); got != tok {
			t.Error("a lock that failed wiped a token")
		}
		w.lock("pw")
		w.mustFail(w.unlock(""), ipc.CodeLocked) // what it needs
		w.restart()                              // as after a kill
		w.mustToken("")
	})
}

// Where the file with the store's key is gone, the next passphrase is none to
// be chosen: it would unlock the agent.
func TestLockIsNotEndedByAPassphraseChosenMeanwhile(t *testing.T) {
	inVault(t, "store", func(t *testing.T, w *world) {
		w.lock("")
		w.vault.set(func(*store) { w.vault.passphrase = "" })
		err := w.Unlock(t.Context(), secret.New("mine"), true)
		w.mustFail(err, ipc.CodeStoreAbsent)
		w.isLocked()
		if w.vault.passphrase != "" {
			t.Error("it was chosen")
		}
	})
}

// T13: an exchange under way at the lock is ended, its waiters are told at
// once, and its answer is nobody's, also where the lock has ended by then.
func TestT13NoAnswerOutlivesALock(t *testing.T) {
	for name, meanwhile := range map[string]func(w *world){
		"while it lasts": func(*world) {},
		"after it ended": func(w *world) { w.mustUnlock("pw") },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				gate := make(chan struct{})
				w.server.set(func(s *server) { s.gate = gate })
				var wg sync.WaitGroup
				for i := range 20 {
					wg.Go(func() {
						_, err := w.scoped(fmt.Sprint(i % 3))
						w.mustFail(err, ipc.CodeLocked)
					})
				}
				wg.Go(func() {
					_, err := w.Login(t.Context(), "new", as("x"))
					w.mustFail(err, ipc.CodeLocked)
				})
				synctest.Wait()
				w.lock("pw")
				w.atOnce(wg.Wait)
				meanwhile(w)
				w.server.set(func(s *server) { s.gate = nil })
				close(gate)
				synctest.Wait()
				if s := w.status("prod"); s.AccessToken != nil || s.LastError != nil || s.State != ipc.StateIdle {
					t.Errorf("%+v", s)
				}
				if _, err := w.Profile("new"); code(err) != ipc.CodeNoSuchProfile {
					t.Errorf("the login went on: %v", err)
				}
			})
		})
	}
}

// A provider that does not hear of a cancelled call brings its answer late.
func TestT13ALateAnswerIsNotCached(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.stop()
		deaf := &deafServer{server: w.server, gate: make(chan struct{})}
		w.provider = deaf
		w.start()
		asked := make(chan error, 1)
		go func() { _, err := w.token(""); asked <- err }()
		synctest.Wait()
		w.lock("pw")
		w.mustFail(<-asked, ipc.CodeLocked)
		w.mustUnlock("pw")
		close(deaf.gate)
		synctest.Wait()
		if s := w.status("prod"); s.AccessToken != nil {
			t.Errorf("%+v", s.AccessToken)
		}
		w.mustToken("")
		w.mustCount(2)
	})
}

type deafServer struct {
	*server
	gate chan struct{}
}

func (d *deafServer) Exchange(ctx context.Context, c provider.Credential, r provider.Request) (provider.Token, error) {
	t, err := d.server.Exchange(context.WithoutCancel(ctx), c, r)
	<-d.gate
	return t, err
}

// While the agent is locked, nothing is renewed, and no server is asked.
func TestLockedAgentAsksNobody(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		asked := 0
		w.server.set(func(s *server) {
			s.details = func() (provider.Details, error) { asked++; return provider.Details{}, nil }
		})
		w.mustToken("")
		w.lock("pw")
		n := w.server.count()
		for range 50 {
			time.Sleep(time.Hour)
			w.AskDue()
			_, _ = w.Expiry(t.Context(), nil)
		}
		if w.mustCount(n); asked != 0 {
			t.Errorf("%d questions for details", asked)
		}
		w.mustUnlock("pw")
		w.mustToken("")
	})
}

// Where nobody can be asked for a passphrase, what is cached is wiped, and the
// agent goes on; where the file store has one, it is locked.
func TestAutoLock(t *testing.T) {
	inVault(t, "", func(t *testing.T, w *world) {
		first := w.mustToken("")
		w.atOnce(func() { w.AutoLock(t.Context(), ipc.LockScreen) })
		if _, locked := w.Locked(); locked || w.status("prod").AccessToken != nil {
			t.Error("locked, or not wiped")
		}
		if tok := w.mustToken(""); tok == first {
			t.Error("a token of before")
		}
		w.mustCount(2)
	})
	inVault(t, "store", func(t *testing.T, w *world) {
		w.mustToken("")
		w.AutoLock(t.Context(), ipc.LockScreen)
		w.AutoLock(t.Context(), ipc.LockSleep)
		w.isLocked()
		w.mustUnlock("store")
		w.mustToken("")
	})
}

// Callers and locks at the same time: no token after a lock, but one of after
// its end. For the race detector, too.
func TestLockAmongCallers(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.server.set(func(s *server) { s.delay = 10 * time.Millisecond })
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for ctx.Err() == nil {
					_, before := w.Locked()
					_, err := w.ask(ipc.TokenRequest{Fresh: i == 0})
					if _, after := w.Locked(); before && after && err == nil {
						t.Error("a token of a locked agent")
					}
					time.Sleep(time.Duration(i+1) * time.Millisecond)
				}
			})
		}
		for range 20 {
			w.lock("pw")
			w.isLocked()
			w.mustUnlock("pw")
			time.Sleep(100 * time.Millisecond)
		}
		cancel()
		wg.Wait()
	})
}
