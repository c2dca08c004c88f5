package agent_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
)

// tells lets the server answer questions for details with what f returns, and
// counts them.
func (w *world) tells(f func() (provider.Details, error)) *atomic.Int64 {
	var asked atomic.Int64
	w.server.set(func(s *server) {
		s.details = func() (provider.Details, error) { asked.Add(1); return f() }
	})
	return &asked
}

// ends are details of a token that ends at a time.
func ends(at time.Time) func() (provider.Details, error) {
	return func() (provider.Details, error) {
		return provider.Details{OrgID: "org", TokenName: "ci", Username: "jo", Expiry: provider.Expiry{Known: true, At: at}}, nil
	}
}

func mustAsk(t *testing.T, asked *atomic.Int64, want int64) {
	t.Helper()
	if n := asked.Load(); n != want {
		t.Fatalf("the server was asked %d times, want %d", n, want)
	}
}

func TestDetailsAreToldAndRemembered(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		end := w.clock.Now().Wall.Add(100 * time.Hour)
		asked := w.tells(func() (provider.Details, error) {
			d, err := ends(end)()
			d.Deactivated, d.RawTimes = true, map[string]string{"expiresAt": "1"}
			return d, err
		})
		got, err := w.Details(t.Context(), "prod", false)
		if err != nil || got.Profile != "prod" || got.Provider != provider.CSP || got.Server != "https://csp.example" ||
			got.TokenName != "ci" || !got.Deactivated || got.RawTimes["expiresAt"] != "1" || got.CheckedAt.IsZero() {
			t.Fatalf("%+v, %v", got, err)
		}
		w.restart()
		p, err := w.Profile("prod")
		if err != nil || p.TokenName != "ci" || p.Username != "jo" || p.APIToken == nil || !p.APIToken.ExpiresAt.Equal(end) || !p.APIToken.CheckedAt.Equal(got.CheckedAt) {
			t.Errorf("%+v, %v", p, err)
		}
		if e := w.expiry("prod"); !e.Deactivated || e.Status != ipc.ExpiryKnown {
			t.Errorf("%+v", e)
		}
		mustAsk(t, asked, 1)
		w.mustCount(0)
	})
}

// P6: a server that refused is left alone for a minute, by people too.
func TestP6DetailsOfADeadToken(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.tells(ends(w.clock.Now().Wall.Add(24 * time.Hour)))
		if _, err := w.Details(t.Context(), "prod", false); err != nil {
			t.Fatal(err)
		}
		asked := w.tells(detailsFail(permanent))
		_, err := w.Details(t.Context(), "prod", false)
		if e := w.mustFail(err, ipc.CodeRefused); !strings.Contains(e.Message, "; it was to expire on 20") || !strings.Contains(e.Hint, "cspctl login prod") {
			t.Errorf("%+v", e)
		}
		time.Sleep(48 * time.Hour)
		_, err = w.Details(t.Context(), "prod", false)
		mustAsk(t, asked, 2)
		for range 3 {
			w.atOnce(func() { _, err = w.Details(t.Context(), "prod", false) })
			if e := w.mustFail(err, ipc.CodeRefused); !strings.Contains(e.Message, "; it expired on 20") {
				t.Errorf("%+v", e)
			}
		}
		mustAsk(t, asked, 2)
		time.Sleep(time.Minute)
		_, err = w.Details(t.Context(), "prod", false)
		w.mustFail(err, ipc.CodeRefused)
		mustAsk(t, asked, 3)
		w.mustToken("") // the exchange is judged by itself
	})
}

func TestDetailsAfterARefusedExchange(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		asked := w.tells(ends(w.clock.Now().Wall.Add(time.Hour)))
		w.failWith(permanent)
		_, err := w.token("")
		w.mustFail(err, ipc.CodeRefused)
		_, err = w.Details(t.Context(), "prod", false)
		w.mustFail(err, ipc.CodeRefused)
		mustAsk(t, asked, 0)
		time.Sleep(time.Minute)
		if _, err = w.Details(t.Context(), "prod", false); err != nil {
			t.Error(err)
		}
		_, err = w.token("")
		w.mustFail(err, ipc.CodeRefused)
		w.mustCount(1)
	})
}

// Details need no passcode, whatever exchanges need.
func TestDetailsWhereAPasscodeIsNeeded(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.failWith(needsCode)
		_, err := w.token("")
		w.mustFail(err, ipc.CodePasscodeNeeded)
		if _, err := w.Details(t.Context(), "prod", false); err != nil {
			t.Error(err)
		}
	})
}

func TestDetailsFail(t *testing.T) {
	for name, c := range map[string]struct {
		set  func(w *world)
		name string
		code ipc.Code
		asks bool
	}{
		"the server is down":      {func(w *world) { w.server.details = detailsFail(down) }, "prod", ipc.CodeUnreachable, true},
		"the wrong server":        {func(w *world) { w.server.details = detailsFail(astray) }, "prod", ipc.CodeWrongServer, true},
		"the server tells none":   {func(w *world) { w.server.details = detailsFail(provider.ErrNoDetails) }, "prod", ipc.CodeNoDetails, true},
		"the store is locked":     {func(w *world) { w.store.fail = locked }, "prod", ipc.CodeStoreLocked, false},
		"no secret":               {func(w *world) { w.store.items = nil }, "prod", ipc.CodeNotLoggedIn, false},
		"logged out":              {func(w *world) { _ = w.Logout(context.Background(), "prod", false) }, "prod", ipc.CodeNotLoggedIn, false},
		"P1, bound to another":    {func(w *world) { rebind(w, func(c *provider.Credential) { c.Origin = "https://evil.example" }) }, "prod", ipc.CodeNotLoggedIn, false},
		"P1, of another org":      {func(w *world) { rebind(w, func(c *provider.Credential) { c.Org = "theirs" }) }, "prod", ipc.CodeNotLoggedIn, false},
		"no such profile":         {func(*world) {}, "nobody", ipc.CodeNoSuchProfile, false},
		"not a name":              {func(*world) {}, "../x", ipc.CodeBadProfileName, false},
		"the agent was shut down": {func(w *world) { w.Close() }, "prod", ipc.CodeUnreachable, false},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				c.set(w)
				details := w.server.details
				asked := w.tells(func() (provider.Details, error) {
					if details == nil {
						return provider.Details{}, nil
					}
					return details()
				})
				before := w.state.text()
				_, err := w.Details(t.Context(), c.name, false)
				if e := w.mustFail(err, c.code); e.Message == "" || e.Hint == "" && c.code != ipc.CodeUnreachable {
					t.Errorf("%+v", e)
				}
				if (asked.Load() > 0) != c.asks {
					t.Errorf("asked %d times", asked.Load())
				}
				if w.state.text() != before {
					t.Error("the state has changed")
				}
			})
		})
	}
}

func rebind(w *world, f func(*provider.Credential)) {
	c := w.store.items["prod"]
	f(&c)
	w.store.items["prod"] = c
}

// P5: however many ask, one question is under way; and whoever gives up fails
// nobody else.
func TestP5OneQuestionForDetails(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		gate := make(chan struct{})
		asked := w.tells(func() (provider.Details, error) { <-gate; return provider.Details{TokenName: "ci"}, nil })
		impatient, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := w.Details(impatient, "prod", false)
			w.mustFail(err, ipc.CodeUnreachable)
		})
		for range 5 {
			wg.Go(func() {
				if d, err := w.Details(t.Context(), "prod", false); err != nil || d.TokenName != "ci" {
					t.Errorf("%+v, %v", d, err)
				}
			})
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		w.atOnce(func() { w.mustToken("") }) // P4
		close(gate)
		wg.Wait()
		mustAsk(t, asked, 1)
	})
}

// A person who waits may unlock the keychain, also where somebody who can't be
// asked came first.
func TestDetailsMayPrompt(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.store.set(func(s *store) { s.fail = locked })
		_, err := w.Details(t.Context(), "prod", false)
		w.mustFail(err, ipc.CodeStoreLocked)
		if _, err = w.Details(t.Context(), "prod", true); err != nil {
			t.Error(err)
		}
		var wg sync.WaitGroup
		w.store.set(func(s *store) { s.hang["prod"] = true })
		wg.Go(func() {
			_, err := w.Details(t.Context(), "prod", false)
			w.mustFail(err, ipc.CodeStoreLocked)
		})
		synctest.Wait()
		wg.Go(func() {
			if _, err := w.Details(t.Context(), "prod", true); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		w.store.set(func(s *store) { s.hang["prod"] = false })
		wg.Wait()
	})
}

// What was asked about a secret that is gone is not remembered of the next.
func TestDetailsOfAReplacedSecret(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		gate := make(chan struct{})
		w.tells(func() (provider.Details, error) { <-gate; return provider.Details{TokenName: "old"}, nil })
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = w.Details(t.Context(), "prod", false) })
		synctest.Wait()
		w.login("prod")
		close(gate)
		wg.Wait()
		if p, err := w.Profile("prod"); err != nil || p.TokenName != "" {
			t.Errorf("%+v, %v", p, err)
		}
	})
}

func TestDetailsAreTimed(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.server.set(func(s *server) { s.details = nil })
		began := time.Now()
		w.tells(func() (provider.Details, error) { time.Sleep(time.Hour); return provider.Details{}, nil })
		ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
		defer cancel()
		_, err := w.Details(ctx, "prod", false)
		if w.mustFail(err, ipc.CodeUnreachable); time.Since(began) != 7*time.Second {
			t.Errorf("it took %v", time.Since(began))
		}
	})
}
