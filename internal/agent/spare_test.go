package agent_test

import (
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
)

// P5: those who do not own a profile can't have the server asked as often as
// they like. Nobody goes without a token for that.
func TestP5WhoDoesNotOwnAProfileSparesIt(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		spare := func(req ipc.TokenRequest) (string, error) {
			req.Spare = true
			return w.ask(req)
		}
		if tok, err := spare(ipc.TokenRequest{Fresh: true}); tok != "token-1" || err != nil {
			t.Fatalf("the first: %q, %v", tok, err)
		}
		for range 59 {
			for _, req := range []ipc.TokenRequest{{Fresh: true}, {MinTTL: "29m59s"}} {
				if tok, err := spare(req); err == nil && tok != "token-1" || err != nil && code(err) != ipc.CodeBusy && code(err) != ipc.CodeMinTTL {
					t.Fatalf("%+v: %q, %v", req, tok, err)
				}
			}
			time.Sleep(time.Second)
		}
		if _, err := spare(ipc.TokenRequest{Fresh: true}); w.mustFail(err, ipc.CodeBusy).Retry != 1 {
			t.Errorf("%+v", err)
		}
		w.mustCount(1)
		if tok, err := w.fresh(); tok != "token-2" { // the owner
			t.Errorf("%q, %v", tok, err)
		}
		time.Sleep(time.Minute)
		if tok, err := spare(ipc.TokenRequest{Fresh: true}); tok != "token-3" {
			t.Errorf("a minute later: %q, %v", tok, err)
		}
	})
}

// A token that is good for nobody is replaced at once, for whoever asks.
func TestP5SparedOrNotAShortLivedTokenIsReplaced(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.server.set(func(s *server) { s.life = 20 * time.Second })
		for range 5 {
			if _, err := w.ask(ipc.TokenRequest{Spare: true}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(17 * time.Second)
		}
	})
}

// What they ask for does not have the agent renew sooner.
func TestP4WhoDoesNotOwnAProfileHastensNoRenewal(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.mustToken("")
		for range 11 {
			if tok, err := w.ask(ipc.TokenRequest{Spare: true, MinTTL: "19m"}); tok != "token-1" {
				t.Fatalf("%q, %v", tok, err)
			}
			time.Sleep(time.Minute)
		}
		w.mustCount(1)
	})
}
