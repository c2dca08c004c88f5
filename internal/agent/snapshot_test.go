package agent_test

import (
	"testing"
	"testing/synctest"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
)

// P4: who watches waits for no server and no store, and causes nothing there:
// no exchange, no question about expiries, no look into a keychain.
func TestP4SnapshotWaitsForNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		asked := w.tells(func() (provider.Details, error) { return provider.Details{}, nil })
		w.login("idle")
		w.server.set(func(s *server) { s.hang = true })
		done := make(chan bool)
		go func() { _, _ = w.fresh(); done <- true }()
		synctest.Wait() // the exchange of prod hangs
		before, reads := asked.Load(), w.store.reads
		exchanges := w.server.count()
		w.atOnce(func() {
			all, ends, err := w.Snapshot()
			if err != nil || len(all) != 2 || len(ends) != 2 || all[0].Name != "idle" || ends[1].Profile != "prod" || all[1].State == "" {
				t.Errorf("%v, %+v, %+v", err, all, ends)
			}
		})
		synctest.Wait()
		if asked.Load() != before || w.store.reads != reads || w.server.count() != exchanges || exchanges != 1 {
			t.Errorf("%d questions, %d reads, %d exchanges more", asked.Load()-before, w.store.reads-reads, w.server.count()-exchanges)
		}
		<-done
	})
}

// Who is logged out has no expiry, and is still there.
func TestSnapshotOfALoggedOutProfile(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		if err := w.Logout(t.Context(), "prod", false); err != nil {
			t.Fatal(err)
		}
		all, ends, err := w.Snapshot()
		if err != nil || len(all) != 1 || all[0].State != ipc.StateLoggedOut || len(ends) != 0 {
			t.Errorf("%v, %+v, %+v", err, all, ends)
		}
	})
}
