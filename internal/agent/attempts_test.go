package agent_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
)

// T31: each wrong passphrase makes the next attempt wait, twice as long, up to
// half a minute. Attempts that come too soon are answered at once, and not
// tried.
func TestT31WrongPassphrasesSlowDown(t *testing.T) {
	inVault(t, "store", func(t *testing.T, w *world) {
		w.lock("")
		for i, want := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 30 * time.Second, 30 * time.Second} {
			e := w.mustFail(w.unlock("wrong"), ipc.CodeStoreLocked)
			if up := (want + time.Second - 1).Truncate(time.Second); time.Duration(e.Retry)*time.Second != up {
				t.Errorf("attempt %d: retry in %d s, want %v", i, e.Retry, up)
			}
			tries := w.vault.tries()
			for range 10 { // the right one, too
				w.atOnce(func() { w.mustFail(w.unlock("store"), ipc.CodeRateLimited) })
				time.Sleep(want/10 - 1)
			}
			if n := w.vault.tries() - tries; n != 0 {
				t.Errorf("attempt %d: %d were tried too soon", i, n)
			}
			time.Sleep(10 * time.Nanosecond)
		}
		w.mustUnlock("store")
		// A success forgets them.
		e := w.mustFail(w.unlock("wrong"), ipc.CodeStoreLocked)
		if e.Retry != 1 {
			t.Errorf("retry in %d s", e.Retry)
		}
		// So does a while; suspend counts.
		time.Sleep(time.Minute)
		w.mustFail(w.unlock("wrong"), ipc.CodeStoreLocked)
		w.clock.suspend(15 * time.Minute)
		if e := w.mustFail(w.unlock("wrong"), ipc.CodeStoreLocked); e.Retry != 1 {
			t.Errorf("retry in %d s", e.Retry)
		}
	})
}

// T31: many at once are one attempt, and no callers of other profiles wait
// for any of it.
func TestT31NobodyElseWaits(t *testing.T) {
	inVault(t, "store", func(t *testing.T, w *world) {
		w.vault.Lock() // the file store alone: prod is elsewhere
		w.mustToken("")
		var wg sync.WaitGroup
		results := make([]ipc.Code, 50)
		for i := range results {
			wg.Go(func() { results[i] = code(w.unlock("wrong")) })
		}
		synctest.Wait() // the first is being worked on
		w.atOnce(func() {
			w.mustToken("")
			_, err := w.ask(ipc.TokenRequest{Profile: "kept"})
			w.mustFail(err, ipc.CodeStoreLocked)
			if _, err := w.Profiles(); err != nil {
				t.Error(err)
			}
			w.status("prod")
		})
		wg.Wait()
		w.atOnce(func() {
			if _, err := w.fresh(); err != nil {
				t.Error(err)
			}
			w.login("third")
		})
		wrong := 0
		for _, c := range results {
			switch c {
			case ipc.CodeStoreLocked:
				wrong++
			case ipc.CodeRateLimited:
			default:
				t.Errorf("answered with %q", c)
			}
		}
		if n := w.vault.tries(); wrong != 1 || n != 1 {
			t.Errorf("%d tried, %d told that they are wrong", n, wrong)
		}
		time.Sleep(time.Second)
		w.mustUnlock("store")
		if s := w.vault.State(t.Context()); s.Status != provider.StoreReady {
			t.Errorf("%+v", s)
		}
	})
}

// A lock that comes while a passphrase is worked on holds.
func TestT13AnUnlockOfBeforeALock(t *testing.T) {
	inVault(t, "store", func(t *testing.T, w *world) {
		w.vault.Lock()
		done := make(chan error, 1)
		go func() { done <- w.unlock("store") }()
		synctest.Wait()
		w.lock("")
		w.mustFail(<-done, ipc.CodeLocked)
		synctest.Wait()
		w.isLocked()
		if !w.vault.closed() {
			t.Error("the store is open")
		}
	})
}
