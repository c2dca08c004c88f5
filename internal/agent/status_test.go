package agent_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cspctl/cspctl/internal/agent"
	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
)

// slowStore is a keychain whose state takes half a second to be known.
type slowStore struct {
	*store
	looks  atomic.Int32
	locked atomic.Bool
}

func (s *slowStore) State(ctx context.Context) provider.StoreState {
	s.looks.Add(1)
	st := provider.StoreState{Kind: provider.Keychain, Status: provider.StoreReady}
	if s.locked.Load() {
		st.Status = provider.StoreLocked
	}
	select {
	case <-time.After(500 * time.Millisecond):
	case <-ctx.Done():
		st.Status = provider.StoreUnavailable
	}
	return st
}

// However many watch, the keychain is looked at by one at a time, and each two
// seconds at most.
func TestP6WhoWatchesDoesNotHammerTheKeychain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClock()
		s := &slowStore{store: newStore()}
		a, err := agent.New(agent.Options{
			Providers: map[string]agent.Provider{provider.CSP: newServer(c)},
			Stores:    map[string]agent.Store{provider.Keychain: s, provider.Memory: newStore()},
			State:     &stateFile{}, Clock: c,
		})
		if err != nil {
			t.Fatal(err)
		}
		is := func(want provider.StoreStatus, looks int32) {
			t.Helper()
			got := a.StoreStates(t.Context())
			if len(got) != 2 || got[0].Kind != provider.Keychain || got[0].Status != string(want) || s.looks.Load() != looks {
				t.Errorf("after %d looks: %+v, want %s after %d", s.looks.Load(), got, want, looks)
			}
		}
		gone, cancel := context.WithCancel(t.Context())
		var first []ipc.StoreStatus
		var wg sync.WaitGroup
		wg.Go(func() { first = a.StoreStates(gone) })
		synctest.Wait()
		for range 10 {
			wg.Go(func() { is(provider.StoreReady, 1) })
		}
		synctest.Wait()
		cancel() // which is nothing to the others
		wg.Wait()
		if first[0].Status != string(provider.StoreUnavailable) || first[1].Status != string(provider.StoreReady) {
			t.Errorf("who did not wait was told %+v", first)
		}
		s.locked.Store(true)
		time.Sleep(1499 * time.Millisecond)
		is(provider.StoreReady, 1)
		time.Sleep(time.Millisecond)
		is(provider.StoreLocked, 2)
		a.Close()
		is(provider.StoreLocked, 2)
		time.Sleep(time.Minute)
		is(provider.StoreLocked, 3)
	})
}
