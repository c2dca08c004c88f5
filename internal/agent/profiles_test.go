package agent_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
)

func (w *world) names() (names []string, def string) {
	w.t.Helper()
	list, err := w.Profiles()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, p := range list.Profiles {
		names = append(names, p.Name)
		if p.Default {
			def = p.Name
		}
	}
	return names, def
}

func TestRenameMovesTheSecret(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		if err := w.Rename(t.Context(), "", "live", false); err != nil {
			t.Fatal(err)
		}
		if w.store.secret("prod") != "" || w.store.secret("live") != "secret of prod" {
			t.Error("the secret was not moved")
		}
		if _, err := w.ask(ipc.TokenRequest{Profile: "live"}); err != nil {
			t.Error(err)
		}
		if names, def := w.names(); len(names) != 1 || def != "live" {
			t.Errorf("%v, default %q", names, def)
		}
		w.restart()
		if _, err := w.ask(ipc.TokenRequest{Profile: "live"}); err != nil {
			t.Error(err)
		}
		// The old name is free.
		w.login("prod")
		w.mustToken("")
	})
}

func TestRenameThatFailsChangesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		set  func(w *world)
		to   string
		code ipc.Code
	}{
		"the disk is full":     {func(w *world) { w.state.fail = errFull }, "live", ipc.CodeState},
		"the store is locked":  {func(w *world) { w.store.fail = locked }, "live", ipc.CodeStoreLocked},
		"the store takes none": {func(w *world) { w.store.putErr = locked }, "live", ipc.CodeStoreLocked},
		"the name is taken":    {func(w *world) { w.login("live") }, "live", ipc.CodeProfileExists},
		"a bad name":           {func(*world) {}, "../x", ipc.CodeBadProfileName},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				tok := w.mustToken("")
				c.set(w)
				w.mustFail(w.Rename(t.Context(), "prod", c.to, false), c.code)
				w.store.set(func(s *store) { s.fail, s.putErr = nil, nil })
				if w.mustToken("") != tok || w.store.secret("prod") != "secret of prod" {
					t.Error("something has changed")
				}
				if got := w.store.secret("live"); got != "" && got != "secret of live" {
					t.Errorf("a copy of the secret is left behind: %q", got)
				}
			})
		})
	}
}

func TestRenameToItself(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tok := w.mustToken("")
		if err := w.Rename(t.Context(), "prod", "prod", false); err != nil || w.mustToken("") != tok {
			t.Error(err)
		}
	})
}

// Two profiles that swap names do not wait for each other.
func TestRenamesAcross(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("live")
		var wg sync.WaitGroup
		for range 50 {
			for from, to := range map[string]string{"prod": "live", "live": "prod"} {
				wg.Go(func() { w.mustFail(w.Rename(t.Context(), from, to, false), ipc.CodeProfileExists) })
			}
		}
		w.atOnce(wg.Wait)
	})
}

// Nor do they if each has to wait for its turn.
func TestRenamesAcrossThatWait(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("live")
		w.server.set(func(s *server) { s.hang = true })
		var wg sync.WaitGroup
		cancels := map[string]func(){}
		for _, name := range []string{"prod", "live"} { // both are being changed
			ctx, cancel := context.WithCancel(t.Context())
			cancels[name] = cancel
			wg.Go(func() { _, _ = w.Login(ctx, name, as("x")) })
		}
		synctest.Wait()
		for _, r := range [][2]string{{"prod", "live"}, {"live", "prod"}} {
			wg.Go(func() { w.mustFail(w.Rename(t.Context(), r[0], r[1], false), ipc.CodeProfileExists) })
		}
		synctest.Wait()
		for _, cancel := range cancels {
			cancel()
			synctest.Wait()
		}
		wg.Wait()
	})
}

func TestRemoveForgetsTheProfile(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("b")
		w.login("c")
		if err := w.Use("c"); err != nil {
			t.Fatal(err)
		}
		if err := w.Remove(t.Context(), "c", false); err != nil {
			t.Fatal(err)
		}
		if names, def := w.names(); len(names) != 2 || def != "" { // which of the two is not ours to say
			t.Errorf("%v, default %q", names, def)
		}
		_, err := w.Token(t.Context(), ipc.TokenRequest{})
		w.mustFail(err, ipc.CodeNoSuchProfile)
		if err := w.Remove(t.Context(), "b", false); err != nil {
			t.Fatal(err)
		}
		if names, def := w.names(); len(names) != 1 || def != "prod" {
			t.Errorf("%v, default %q", names, def)
		}
		if w.store.secret("b") != "" || w.store.secret("c") != "" {
			t.Error("a secret is left behind")
		}
		w.mustFail(w.Remove(t.Context(), "b", false), ipc.CodeNoSuchProfile)
	})
}

func TestNamesAreChecked(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		const bad = "\x1b[31m"
		_, err := w.ask(ipc.TokenRequest{Profile: bad})
		w.mustFail(err, ipc.CodeBadProfileName)
		_, err = w.Profile(bad)
		w.mustFail(err, ipc.CodeBadProfileName)
		_, err = w.Login(t.Context(), bad, as("x"))
		w.mustFail(err, ipc.CodeBadProfileName)
		w.mustFail(w.Use(bad), ipc.CodeBadProfileName)
		w.mustFail(w.Use(""), ipc.CodeBadProfileName)
		w.mustFail(w.Remove(t.Context(), bad, false), ipc.CodeBadProfileName)
		w.mustFail(w.Use("nobody"), ipc.CodeNoSuchProfile)
		_, err = w.Profile("nobody")
		w.mustFail(err, ipc.CodeNoSuchProfile)
		if p, err := w.Profile(""); err != nil || p.Name != "prod" || !p.Default {
			t.Errorf("%+v, %v", p, err)
		}
	})
}

func TestStatusOfAProfile(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		if s := w.status("prod"); s.State != ipc.StateIdle || s.AccessToken != nil || s.LastExchange != nil {
			t.Errorf("before: %+v", s)
		}
		reply, err := w.Token(t.Context(), ipc.TokenRequest{})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		s := w.status("prod")
		if s.State != ipc.StateReady || !s.AccessToken.ExpiresAt.Equal(reply.ExpiresAt) || s.AccessToken.RenewAt == nil || s.Exchanges != 1 {
			t.Fatalf("ready: %+v", s)
		}
		// The renewal happens when the status said.
		at := *s.AccessToken.RenewAt
		time.Sleep(at.Sub(w.clock.Now().Wall) - time.Second)
		w.mustCount(1)
		time.Sleep(3 * time.Second)
		w.mustCount(2)

		w.failWith(down)
		_, _ = w.fresh()
		if s := w.status("prod"); s.State != ipc.StateFailing || s.LastError == nil || s.LastError.Code != ipc.CodeUnreachable || s.RetryAt == nil {
			t.Errorf("failing: %+v", s)
		}
		time.Sleep(25 * time.Minute)
		if s := w.status("prod"); s.AccessToken != nil && s.State == ipc.StateReady {
			t.Errorf("below its floor: %+v", s)
		}
		all := w.Status(t.Context())
		if len(all.Stores) != 2 || all.Stores[0].Status != string(provider.StoreReady) || all.PID == 0 {
			t.Errorf("%+v", all)
		}
	})
}
