package agent_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
)

// expiry is the report on one profile.
func (w *world) expiry(name string) ipc.ProfileExpiry {
	w.t.Helper()
	r, err := w.Expiry(context.Background(), []string{name})
	if err != nil || len(r.Profiles) != 1 || r.Profiles[0].Profile != name {
		w.t.Fatalf("%+v, %v", r, err)
	}
	return r.Profiles[0]
}

func TestExpiryStates(t *testing.T) {
	for want, e := range map[string]provider.Expiry{
		ipc.ExpiryKnown: {Known: true, At: epoch.Add(90 * 24 * time.Hour)}, ipc.ExpiryNever: {Known: true, Never: true}, ipc.ExpiryUnknown: {},
	} {
		inWorld(t, func(t *testing.T, w *world) {
			w.tells(func() (provider.Details, error) { return provider.Details{TokenName: "ci", Expiry: e}, nil })
			got := w.expiry("prod") // asks, as nothing is known yet
			if got.Status != want || !got.ExpiresAt.Equal(e.At) || got.CheckedAt.IsZero() || got.TokenName != "ci" || got.Provider != "csp" ||
				got.Server != "https://csp.example" || got.Org != "org" || got.RenewURL != "https://csp.example/csp/gateway/portal/#/user/tokens" || got.Refused || got.Deactivated {
				t.Errorf("%+v, want %s", got, want)
			}
		})
	}
}

// P4, P7: the answer is what is remembered, at once; a day later the server is
// asked again behind it.
func TestP4P7ExpiryIsCheckedDailyBehindTheAnswer(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		end := w.clock.Now().Wall.Add(100 * 24 * time.Hour)
		asked := w.tells(ends(end))
		w.expiry("prod")
		for range 23 {
			w.atOnce(func() { w.expiry("prod") })
			time.Sleep(time.Hour)
		}
		mustAsk(t, asked, 1)
		time.Sleep(time.Hour)
		asked = w.tells(func() (provider.Details, error) {
			time.Sleep(time.Second)
			d, err := ends(end)()
			d.Deactivated = true
			return d, err
		})
		w.atOnce(func() {
			for range 5 {
				if w.expiry("prod").Deactivated {
					t.Error("it waited")
				}
			}
		})
		time.Sleep(2 * time.Second)
		if !w.expiry("prod").Deactivated {
			t.Error("it was not asked")
		}
		mustAsk(t, asked, 1)
		w.mustCount(0)
	})
}

// P6: no server is asked about a token that it refused, or that has expired,
// and one that fails is left alone for longer and longer.
func TestP6ExpiryDoesNotHammer(t *testing.T) {
	watch := func(w *world) {
		for range 24 * 60 {
			w.expiry("prod")
			time.Sleep(time.Minute)
		}
	}
	t.Run("refused by details", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			asked := w.tells(detailsFail(permanent))
			watch(w)
			mustAsk(t, asked, 1)
			if !w.expiry("prod").Refused {
				t.Error("it is not said to be refused")
			}
			time.Sleep(time.Second)
			w.mustToken("")
			if w.expiry("prod").Refused {
				t.Error("an exchange went well")
			}
		})
	})
	t.Run("refused by an exchange", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			asked := w.tells(ends(time.Now().Add(time.Hour)))
			w.failWith(permanent)
			_, err := w.token("")
			w.mustFail(err, ipc.CodeRefused)
			watch(w)
			w.restart()
			watch(w)
			mustAsk(t, asked, 0)
			if !w.expiry("prod").Refused {
				t.Error("it is not said to be refused")
			}
		})
	})
	t.Run("expired", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			asked := w.tells(ends(w.clock.Now().Wall.Add(time.Hour)))
			watch(w)
			watch(w)
			mustAsk(t, asked, 1)
		})
	})
	t.Run("failing", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			asked := w.tells(detailsFail(denied))
			watch(w)
			if n := asked.Load(); n < 20 || n > 40 {
				t.Errorf("asked %d times in a day", n)
			}
		})
	})
}

// Where nothing is known yet, the answer waits, but not for long.
func TestP4FirstCheckOfAnExpiryIsBounded(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("other")
		w.tells(func() (provider.Details, error) { time.Sleep(time.Minute); return ends(time.Now())() })
		began := time.Now()
		r, err := w.Expiry(t.Context(), nil)
		if took := time.Since(began); err != nil || took != 5*time.Second || len(r.Profiles) != 2 || r.Profiles[0].Status != ipc.ExpiryUnknown {
			t.Errorf("%+v, %v after %v", r, err, took)
		}
	})
}

func TestExpiryWithoutTheStore(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		end := w.clock.Now().Wall.Add(100 * 24 * time.Hour)
		w.tells(ends(end))
		w.expiry("prod")
		w.restart()
		w.store.set(func(s *store) { s.fail = locked })
		time.Sleep(48 * time.Hour)
		for range 3 {
			if e := w.expiry("prod"); e.Status != ipc.ExpiryKnown || !e.ExpiresAt.Equal(end) || e.Refused {
				t.Errorf("%+v", e)
			}
			synctest.Wait()
		}
		if n := w.store.prompt; n != 0 {
			t.Errorf("%d prompts that nobody asked for", n)
		}
	})
}

func TestExpiryOfTheProfilesNamed(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for _, name := range []string{"b", "a", "gone"} {
			w.login(name)
		}
		if err := w.Logout(t.Context(), "gone", false); err != nil {
			t.Fatal(err)
		}
		names := func(asked ...string) string {
			r, err := w.Expiry(t.Context(), asked)
			if err != nil {
				return string(code(err))
			}
			var got []string
			for _, p := range r.Profiles {
				got = append(got, p.Profile)
			}
			if s := strings.Join(r.Stages, " "); s != "30d 14d 7d 3d 1d 1h expired" {
				t.Errorf("stages %s", s)
			}
			return strings.Join(got, " ")
		}
		for _, c := range []struct {
			asked, want string
		}{
			{"", "a b prod"}, {"prod a", "prod a"}, {"b b a b", "b a"},
			{"nobody", "no_such_profile"}, {"a gone", "not_logged_in"}, {"../x", "bad_profile_name"},
		} {
			if got := names(strings.Fields(c.asked)...); got != c.want {
				t.Errorf("%q: got %s, want %s", c.asked, got, c.want)
			}
		}
	})
}

func TestExpiryWithoutProfilesOrState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer func() { w.stop() }()
		if r, err := w.Expiry(t.Context(), nil); err != nil || r.Profiles == nil || len(r.Profiles) != 0 {
			t.Errorf("%+v, %v", r, err)
		}
		w.state.set(func(f *stateFile) { f.readErr = errFull })
		w.restart()
		_, err := w.Expiry(t.Context(), nil)
		w.mustFail(err, ipc.CodeState)
	})
}
