package agent_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
)

// as is a login with another secret.
func as(s string) ipc.LoginRequest { return ipc.LoginRequest{Secret: secret.NewWire(s)} }

func TestLoginChecksTheSecretAndKeepsItsFirstToken(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		at := w.clock.Now().Wall.Add(3 * 24 * time.Hour)
		w.server.set(func(s *server) {
			s.details = func() (provider.Details, error) {
				return provider.Details{OrgID: "org", TokenName: "ci", Acct: "jo", Expiry: provider.Expiry{Known: true, At: at}}, nil
			}
		})
		res, err := w.Login(t.Context(), "prod", as("new"))
		if err != nil || !res.Verified || res.Profile.Org != "org" || res.Profile.TokenName != "ci" || res.Profile.Username != "jo" ||
			res.Profile.APIToken == nil || !res.Profile.APIToken.ExpiresAt.Equal(at) || len(res.Warnings) != 1 {
			t.Fatalf("%+v, %v", res, err)
		}
		reply, err := w.Token(t.Context(), ipc.TokenRequest{})
		if err != nil || reply.AccessToken.Reveal() != "token-1" || reply.Warning == nil || reply.Warning.Stage != "3d" {
			t.Errorf("%+v, %v", reply, err)
		}
		w.mustCount(1)
	})
}

// A login that fails leaves the secret, the state and the cache as they were.
func TestLoginThatFailsChangesNothing(t *testing.T) {
	req := as("new")
	for name, c := range map[string]struct {
		set  func(w *world, req *ipc.LoginRequest)
		code ipc.Code
	}{
		"the server refuses": {func(w *world, _ *ipc.LoginRequest) { w.failWith(permanent) }, ipc.CodeRefused},
		"the server is down": {func(w *world, _ *ipc.LoginRequest) { w.failWith(down) }, ipc.CodeUnreachable},
		"the server hangs":   {func(w *world, _ *ipc.LoginRequest) { w.server.set(func(s *server) { s.hang = true }) }, ipc.CodeUnreachable},
		"details refuse": {func(w *world, _ *ipc.LoginRequest) {
			w.server.set(func(s *server) { s.details = detailsFail(permanent) })
		}, ipc.CodeRefused},
		"deactivated":            {func(w *world, _ *ipc.LoginRequest) { w.server.set(func(s *server) { s.details = deactivated }) }, ipc.CodeRefused},
		"wrong server":           {func(w *world, _ *ipc.LoginRequest) { w.server.set(func(s *server) { s.details = detailsFail(astray) }) }, ipc.CodeWrongServer},
		"another org":            {func(w *world, _ *ipc.LoginRequest) { w.server.set(func(s *server) { s.details = anotherOrg }) }, ipc.CodeOrgDiffers},
		"not the org asked for":  {func(_ *world, r *ipc.LoginRequest) { r.Org = "mine" }, ipc.CodeBadRequest},
		"the store is locked":    {func(w *world, _ *ipc.LoginRequest) { w.store.fail = locked }, ipc.CodeStoreLocked},
		"the store takes none":   {func(w *world, _ *ipc.LoginRequest) { w.store.putErr = locked }, ipc.CodeStoreLocked},
		"another store is full":  {func(w *world, r *ipc.LoginRequest) { r.Store, w.file.putErr = provider.File, locked }, ipc.CodeStoreLocked},
		"the disk is full":       {func(w *world, _ *ipc.LoginRequest) { w.state.fail = errFull }, ipc.CodeState},
		"full, and a new store":  {func(w *world, r *ipc.LoginRequest) { r.Store, w.state.fail = provider.File, errFull }, ipc.CodeState},
		"full, unchecked":        {func(w *world, r *ipc.LoginRequest) { r.NoVerify, w.state.fail = true, errFull }, ipc.CodeState},
		"no such provider":       {func(_ *world, r *ipc.LoginRequest) { r.Provider = "x" }, ipc.CodeBadRequest},
		"no such store":          {func(_ *world, r *ipc.LoginRequest) { r.Store = "x" }, ipc.CodeBadRequest},
		"no PEM":                 {func(_ *world, r *ipc.LoginRequest) { r.CA = "x" }, ipc.CodeBadRequest},
		"needs another passcode": {func(w *world, r *ipc.LoginRequest) { w.server.judge = second; r.Passcode = secret.NewWire("0") }, ipc.CodeRefusedForNow},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				tok, state := w.mustToken(""), w.state.text()
				time.Sleep(time.Minute)
				r := req
				c.set(w, &r)
				_, err := w.Login(t.Context(), "prod", r)
				if e := w.mustFail(err, c.code); e.Message == "" {
					t.Error("no message")
				}
				_, err = w.Login(t.Context(), "new", r)
				if name != "another org" {
					w.mustFail(err, c.code)
				}
				w.store.set(func(s *store) { s.fail = nil })
				if got := w.store.secret("prod"); got != "secret of prod" {
					t.Errorf("the store has %q", got)
				}
				if name != "another org" && (w.state.text() != state || w.store.secret("new") != "" || w.file.secret("new") != "") {
					t.Error("something was left behind")
				}
				if w.file.secret("prod") != "" {
					t.Error("the secret is in the other store")
				}
				w.atOnce(func() {
					if got := w.mustToken(""); got != tok {
						t.Errorf("the cache has %q", got)
					}
				})
				w.server.set(func(s *server) { s.fail, s.hang, s.judge = nil, false, nil })
				w.state.set(func(f *stateFile) { f.fail = nil })
				if tok, err := w.fresh(); w.server.secretOf(tok) != "secret of prod" {
					t.Errorf("the next exchange is %q: %v", w.server.secretOf(tok), err)
				}
				w.restart()
				w.mustToken("")
			})
		})
	}
}

func detailsFail(err error) func() (provider.Details, error) {
	return func() (provider.Details, error) { return provider.Details{}, err }
}
func deactivated() (provider.Details, error) {
	return provider.Details{OrgID: "org", Deactivated: true}, nil
}
func anotherOrg() (provider.Details, error) { return provider.Details{OrgID: "another"}, nil }

var astray = &provider.Error{Class: provider.WrongServer, Status: 302, Message: "the server redirects"}

func TestLoginToAnotherOrgTakesReplace(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.server.set(func(s *server) { s.details = anotherOrg })
		req := as("new")
		req.Replace = true
		res, err := w.Login(t.Context(), "prod", req)
		if err != nil || res.Profile.Org != "another" {
			t.Fatalf("%+v, %v", res, err)
		}
		w.mustToken("")
		if _, err := w.fresh(); err != nil { // bound to the new org
			t.Error(err)
		}
	})
}

// Where details tell nothing, the exchange decides.
func TestLoginWithoutDetails(t *testing.T) {
	for err, warnings := range map[error]int{provider.ErrNoDetails: 1, down: 2, denied: 2} {
		inWorld(t, func(t *testing.T, w *world) {
			w.server.set(func(s *server) { s.details = detailsFail(err) })
			res, err := w.Login(t.Context(), "prod", as("new"))
			if err != nil || !res.Verified || len(res.Warnings) != warnings || res.Profile.APIToken != nil || res.Profile.Org != "org" {
				t.Errorf("%+v, %v", res, err)
			}
		})
	}
}

func TestLoginOfAPasscodeProfile(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.server.set(func(s *server) { s.judge = second })
		res, err := w.Login(t.Context(), "prod", as("new"))
		if err != nil || res.Verified || len(res.Warnings) != 2 || !strings.Contains(res.Warnings[0], "--passcode") {
			t.Fatalf("%+v, %v", res, err)
		}
		for range 2 {
			_, err = w.token("")
			w.mustFail(err, ipc.CodePasscodeNeeded)
			w.restart()
		}
		w.mustCount(1)
		req := as("newer")
		req.Passcode = secret.NewWire("111111")
		if res, err = w.Login(t.Context(), "prod", req); err != nil || !res.Verified {
			t.Fatalf("%+v, %v", res, err)
		}
		for range 20 * 60 {
			w.mustToken("")
			time.Sleep(time.Second)
		}
		w.mustCount(2) // no renewal ahead
	})
}

func TestLoginIntoAnotherStoreRemovesTheOldSecret(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		req := as("new")
		req.Store = provider.File
		if res, err := w.Login(t.Context(), "prod", req); err != nil || len(res.Warnings) != 0 {
			t.Fatalf("%+v, %v", res, err)
		}
		if w.store.secret("prod") != "" || w.file.secret("prod") != "new" {
			t.Errorf("the stores have %q and %q", w.store.secret("prod"), w.file.secret("prod"))
		}
		if tok := w.mustToken(""); w.server.secretOf(tok) != "new" {
			t.Errorf("exchanged %q", w.server.secretOf(tok))
		}
		// If the old one can't be removed, the person is told where it is.
		w.file.set(func(s *store) { s.delErr = locked })
		req = as("newer")
		req.Store = provider.Memory
		res, err := w.Login(t.Context(), "prod", req)
		if err != nil || len(res.Warnings) != 2 || !strings.Contains(res.Warnings[0], "file store") {
			t.Errorf("%+v, %v", res, err)
		}
		w.mustToken("")
	})
}

// What was said of one server or provider does not count for another.
func TestP1LoginToAnotherServerTakesNothingAlong(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		req := as("new")
		req.CA = caPEM(t)
		if res, err := w.Login(t.Context(), "prod", req); err != nil || res.Profile.CASHA256 == "" {
			t.Fatalf("%+v, %v", res, err)
		}
		if res, err := w.Login(t.Context(), "prod", as("newer")); err != nil || res.Profile.CASHA256 == "" {
			t.Fatalf("the same server: %+v, %v", res, err)
		}
		req = as("newest")
		req.Server = "https://another.example"
		w.server.set(func(s *server) { s.details = anotherOrg })
		res, err := w.Login(t.Context(), "prod", req)
		if err != nil || res.Profile.CASHA256 != "" || res.Profile.Org != "another" || res.Profile.Server != req.Server {
			t.Fatalf("another server: %+v, %v", res, err)
		}
		w.mustToken("")
	})
}

// A login whose caller has gone, or whose agent ends, does not go on.
func TestLoginEndsWithItsCaller(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.server.set(func(s *server) { s.hang = true })
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { _, err := w.Login(ctx, "prod", as("new")); done <- err }()
		synctest.Wait()
		if _, err := w.Login(timeout(t, time.Second), "prod", as("newer")); code(err) != ipc.CodeBusy {
			t.Errorf("a second login at once: %v", err)
		}
		w.atOnce(func() {
			cancel()
			w.mustFail(<-done, ipc.CodeUnreachable)
		})
		if got := w.store.secret("prod"); got != "secret of prod" {
			t.Errorf("the store has %q", got)
		}
	})
}

func timeout(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
