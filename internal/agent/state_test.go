package agent_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/agent"
	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
)

// Whoever edits the state can't point a stored secret elsewhere: it is refused
// before anything is sent.
func TestP1EditedStateDoesNotMoveASecret(t *testing.T) {
	ca := caPEM(t)
	for field, edit := range map[string]func(map[string]any){
		"server":    func(p map[string]any) { p["origin"] = "https://evil.example" },
		"org":       func(p map[string]any) { p["org"] = "another" },
		"provider":  func(p map[string]any) { p["provider"] = "other" },
		"client id": func(p map[string]any) { p["client_id"] = "x" },
		"user":      func(p map[string]any) { p["user"] = "x" },
		"CA":        func(p map[string]any) { p["ca"] = ca },
	} {
		t.Run(field, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				var doc map[string]any
				if err := json.Unmarshal([]byte(w.state.text()), &doc); err != nil {
					t.Fatal(err)
				}
				edit(doc["profiles"].(map[string]any)["prod"].(map[string]any))
				b, _ := json.Marshal(doc)
				w.state.set(func(f *stateFile) { f.b = b })
				w.restart()
				for _, req := range []ipc.TokenRequest{{}, {Fresh: true}, {Interactive: true}} {
					_, err := w.ask(req)
					if e := w.mustFail(err, ipc.CodeNotLoggedIn); !strings.Contains(e.Message, "the "+field+" ") || e.Hint != "cspctl login prod" {
						t.Errorf("%+v", e)
					}
				}
				time.Sleep(time.Hour)
				w.mustCount(0)
				if strings.Contains(field, "provider") {
					return
				}
				// Entered again, the secret is bound to what the state says now.
				req := as("again")
				req.NoVerify = true
				if _, err := w.Login(t.Context(), "prod", req); err != nil {
					t.Fatal(err)
				}
				w.mustToken("")
			})
		})
	}
}

// A secret in memory is gone after a restart, and the message says why.
func TestSecretInMemoryIsGoneAfterARestart(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.store.set(func(s *store) { clear(s.items) })
		w.restart()
		_, err := w.token("")
		if e := w.mustFail(err, ipc.CodeNotLoggedIn); !strings.Contains(e.Message, "memory") {
			t.Errorf("%+v", e)
		}
	})
}

func TestP8StateThatCannotBeUsed(t *testing.T) {
	for name, b := range map[string]string{
		"empty":           "",
		"cut short":       `{"version":1,"profiles":{"prod":{"prov`,
		"garbage":         "\x00\x01",
		"more after it":   `{"version":1,"profiles":{}} x`,
		"another version": `{"version":2,"profiles":{}}`,
		"no version":      `{}`,
		"null":            `null`,
		"a bad name":      `{"version":1,"profiles":{"../x":{}}}`,
		"a null profile":  `{"version":1,"profiles":{"prod":null}}`,
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				good := w.state.text()
				w.state.set(func(f *stateFile) { f.b = []byte(b) })
				w.restart()
				w.mustCannot("state.json")
				if w.state.text() != b {
					t.Error("the damaged file was overwritten")
				}
				// Repaired, or moved away, it works at once, without a restart.
				w.state.set(func(f *stateFile) { f.b = []byte(good) })
				w.mustToken("")
			})
		})
	}
}

// mustCannot checks that every call says that the state can't be used.
func (w *world) mustCannot(what string) {
	w.t.Helper()
	ctx := w.t.Context()
	_, err1 := w.token("")
	_, err2 := w.Profiles()
	_, err3 := w.Profile("prod")
	_, err4 := w.Login(ctx, "prod", as("x"))
	for _, err := range []error{err1, err2, err3, err4, w.Use("prod"), w.Logout(ctx, "prod", false),
		w.Remove(ctx, "prod", false), w.Rename(ctx, "prod", "live", false)} {
		if e := w.mustFail(err, ipc.CodeState); !strings.Contains(e.Message, what) || e.Hint == "" {
			w.t.Errorf("%+v", e)
		}
	}
	if s := w.Status(ctx); len(s.Profiles) != 0 || len(s.Stores) != 2 {
		w.t.Errorf("%+v", s)
	}
}

// A folder that is not there yet when the agent starts (a home that is mounted
// later) is found when it comes.
func TestP8StateThatComesLater(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.stop()
		w.state.set(func(f *stateFile) { f.readErr = errors.New("permission denied") })
		w.start()
		w.mustCannot("permission denied")
		time.Sleep(time.Hour)
		w.state.set(func(f *stateFile) { f.readErr = nil })
		w.mustToken("")
		time.Sleep(20*time.Minute - 5*time.Second)
		w.mustToken("")
		time.Sleep(time.Minute)
		w.mustCount(2) // Run has found it, too
	})
}

func TestP8StateThatCannotBeWritten(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tok := w.mustToken("")
		w.state.set(func(f *stateFile) { f.fail = errFull })
		w.mustFail(w.Use("prod"), ipc.CodeState)
		w.mustFail(w.Rename(t.Context(), "prod", "live", false), ipc.CodeState)
		if w.mustToken("") != tok {
			t.Error("the cache was lost")
		}
		w.mustFail(w.Remove(t.Context(), "prod", false), ipc.CodeState)
		w.state.set(func(f *stateFile) { f.fail = nil })
		if err := w.Remove(t.Context(), "prod", false); err != nil {
			t.Error(err)
		}
	})
}

func TestTokensTouchNoFile(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		before := w.state.writes
		for range 100 {
			w.mustToken("")
			time.Sleep(time.Minute)
		}
		if n := w.state.writes - before; n != 0 {
			t.Errorf("the state was written %d times", n)
		}
	})
}

func TestOptionsAreNeeded(t *testing.T) {
	c := newClock()
	stores := map[string]agent.Store{provider.Memory: newStore()}
	providers := map[string]agent.Provider{provider.CSP: newServer(c)}
	for _, o := range []agent.Options{
		{},
		{Providers: providers, Stores: stores, State: &stateFile{}},
		{Providers: providers, Stores: stores, Clock: c},
		{Providers: providers, State: &stateFile{}, Clock: c},
		{Stores: stores, State: &stateFile{}, Clock: c},
	} {
		if _, err := agent.New(o); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
}

// A profile of a version that knew more than this one says so.
func TestProfileOfAnUnknownProviderOrStore(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.state.set(func(f *stateFile) {
			f.b = []byte(strings.Replace(string(f.b), `"store": "memory"`, `"store": "tpm"`, 1))
		})
		w.restart()
		_, err := w.token("")
		w.mustFail(err, ipc.CodeStoreAbsent)
		w.mustCount(0)
	})
}
