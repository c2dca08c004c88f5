package agent_test

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
)

// snapshot is what a machine has on disk after one more write.
type snapshot struct {
	state        []byte
	memory, file map[string]provider.Credential
}

// during returns what was on disk after each write of f.
func (w *world) during(f func()) []snapshot {
	var all []snapshot
	take := func() {
		all = append(all, snapshot{slices.Clone(w.state.b), maps.Clone(w.store.items), maps.Clone(w.file.items)})
	}
	w.state.set(func(s *stateFile) { s.after = take })
	w.store.set(func(s *store) { s.after = take })
	w.file.set(func(s *store) { s.after = take })
	f()
	w.state.set(func(s *stateFile) { s.after = nil })
	w.store.set(func(s *store) { s.after = nil })
	w.file.set(func(s *store) { s.after = nil })
	return all
}

// A change that is cut off after any of its writes leaves a profile that works,
// and no secret that nobody can name.
func TestP8AChangeThatIsCutOffAtAnyWrite(t *testing.T) {
	login := func(profile, server, org, kind string) func(*world) {
		return func(w *world) {
			if _, err := w.Login(context.Background(), profile, ipc.LoginRequest{
				Secret: secret.NewWire("new"), Server: server, Org: org, Store: kind, Replace: true, NoVerify: true}); err != nil {
				w.t.Error(err)
			}
		}
	}
	for name, change := range map[string]func(*world){
		"rename": func(w *world) {
			if err := w.Rename(context.Background(), "prod", "main", false); err != nil {
				w.t.Error(err)
			}
		},
		"login anew":                               login("prod", "", "org", provider.Memory),
		"login to another org":                     login("prod", "", "other", provider.Memory),
		"login to another server":                  login("prod", "https://other.example", "org", provider.Memory),
		"login into another store":                 login("prod", "", "org", provider.File),
		"login to another org, into another store": login("prod", "", "other", provider.File),
		"a second profile":                         login("second", "", "org", provider.Memory),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.login("prod")
				cuts := w.during(func() { change(w) })
				w.stop()
				if len(cuts) < 3 {
					t.Fatalf("%d writes", len(cuts))
				}
				for i, c := range cuts {
					w.checkAfter(i, c)
				}
			})
		})
	}
}

// checkAfter starts an agent on what a cut left, and looks whether all is well.
func (w *world) checkAfter(i int, c snapshot) {
	w.state.set(func(s *stateFile) { s.b = c.state })
	w.store.set(func(s *store) { s.items = c.memory })
	w.file.set(func(s *store) { s.items = c.file })
	w.start()
	defer w.stop()
	list, err := w.Profiles()
	if err != nil || len(list.Profiles) == 0 {
		w.t.Fatalf("cut %d: %v, %v", i, list, err)
	}
	for _, p := range list.Profiles {
		if _, err := w.ask(ipc.TokenRequest{Profile: p.Name}); err != nil {
			w.t.Errorf("cut %d: profile %s: %v", i, p.Name, err)
		}
	}
	time.Sleep(5 * time.Minute)
	list, err = w.Profiles()
	if err != nil {
		w.t.Fatal(err)
	}
	wanted := map[string]map[string]bool{provider.Memory: {}, provider.File: {}}
	for _, p := range list.Profiles {
		wanted[p.Store][p.Name] = true
	}
	for kind, s := range map[string]*store{provider.Memory: w.store, provider.File: w.file} {
		for name := range s.items {
			if !wanted[kind][name] {
				w.t.Errorf("cut %d: the secret of %s is left in the %s store", i, name, kind)
			}
		}
	}
}

// Two agents on one state: neither undoes what the other did.
func TestTwoAgentsOnOneState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := newWorld(t)
		one.exclusive = oneAtATime()
		one.restart()
		defer func() { one.stop() }()
		two := &world{t: t, clock: one.clock, server: one.server, store: one.store, file: one.file, state: one.state, exclusive: one.exclusive}
		two.start()
		defer func() { two.stop() }()
		one.login("prod")
		two.login("lab")
		if err := one.Use("prod"); err != nil {
			t.Fatal(err)
		}
		for _, w := range []*world{one, two} {
			for _, name := range []string{"prod", "lab"} {
				if _, err := w.ask(ipc.TokenRequest{Profile: name}); err != nil {
					t.Error(err)
				}
			}
		}
		// A secret that one replaces is replaced for both.
		time.Sleep(time.Hour)
		if _, err := one.Login(t.Context(), "lab", ipc.LoginRequest{Secret: secret.NewWire("new"), Store: provider.Memory, NoVerify: true}); err != nil {
			t.Fatal(err)
		}
		tok, err := two.ask(ipc.TokenRequest{Profile: "lab"})
		if err != nil || two.server.secretOf(tok) != "new" {
			t.Errorf("%q of %q, %v", tok, two.server.secretOf(tok), err)
		}
	})
}

// oneAtATime is what keeps agents apart.
func oneAtATime() func(context.Context, string) (func(), error) {
	var mu sync.Mutex
	turns := map[string]chan struct{}{}
	return func(ctx context.Context, profile string) (func(), error) {
		mu.Lock()
		turn := turns[profile]
		if turn == nil {
			turn = make(chan struct{}, 1)
			turns[profile] = turn
		}
		mu.Unlock()
		select {
		case turn <- struct{}{}:
			return func() { <-turn }, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
