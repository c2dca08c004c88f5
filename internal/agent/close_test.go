package agent_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cspctl/cspctl/internal/agent"
	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
)

// Close ends what is under way, tells those who wait, and leaves no goroutine
// (the bubble fails if one is left). What is cached is still served.
func TestCloseEndsEverything(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tok := w.mustToken("")
		w.server.set(func(s *server) { s.hang = true })
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				_, err := w.scoped(fmt.Sprint(i))
				w.mustFail(err, ipc.CodeUnreachable)
			})
		}
		wg.Go(func() {
			_, err := w.Login(t.Context(), "other", as("x"))
			w.mustFail(err, ipc.CodeUnreachable)
		})
		synctest.Wait()
		w.atOnce(func() {
			w.Close()
			wg.Wait()
			if got := w.mustToken(""); got != tok {
				t.Errorf("got %q", got)
			}
			_, err := w.fresh()
			w.mustFail(err, ipc.CodeUnreachable)
			w.Close() // again is fine
		})
		if s := w.status("prod"); s.LastError != nil {
			t.Errorf("the end was held against the profile: %v", s.LastError)
		}
	})
}

// Callers who come while the agent closes get an answer, and start nothing.
func TestCloseWithCallersComing(t *testing.T) {
	for range 20 {
		inWorld(t, func(t *testing.T, w *world) {
			var wg sync.WaitGroup
			for i := range 50 {
				wg.Go(func() { _, _ = w.scoped(fmt.Sprint(i)) })
				if i == 25 {
					wg.Go(w.Close)
				}
			}
			wg.Wait()
			n := w.server.count()
			time.Sleep(time.Hour)
			w.mustCount(n)
		})
	}
}

func TestRunEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClock()
		a, err := agent.New(agent.Options{
			Providers: map[string]agent.Provider{provider.CSP: newServer(c)},
			Stores:    map[string]agent.Store{provider.Memory: newStore()},
			State:     &stateFile{}, Clock: c,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		for _, after := range []time.Duration{0, time.Second, time.Minute} {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { a.Run(ctx); close(done) }()
			time.Sleep(after)
			before := time.Now()
			cancel()
			if <-done; time.Since(before) != 0 {
				t.Errorf("it took %v", time.Since(before))
			}
		}
	})
}
