package keychain

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cspctl/cspctl/internal/provider"
)

// T13: a write that timed out and lands late never undoes a newer one. Each
// case gives up a write, makes a newer one that succeeds, lets the old one
// land, and looks both through the guard and behind it.
func TestT13LateWriteNeverBringsAnOldSecretBack(t *testing.T) {
	for _, c := range []struct {
		name        string
		late, newer string // secrets; empty is a Delete
	}{
		{"put, put", "old", "new"},
		{"put, delete", "old", ""},
		{"delete, put", "", "new"},
		{"put of the same", "new", "new"},
	} {
		for _, seenBy := range []string{"the next reader", "nobody", "nobody, much later"} {
			t.Run(c.name+", seen by "+seenBy, func(t *testing.T) {
				inGuard(t, func(t *testing.T, k *Keychain, s *scripted) {
					mustPut(t, k, "first")
					change := func(text string) error {
						if text == "" {
							return k.Delete(t.Context(), "p", provider.NoPrompt)
						}
						return k.Put(t.Context(), "p", cred(text), provider.NoPrompt)
					}
					hung := "set"
					if c.late == "" {
						hung = "remove"
					}
					release := s.hang(hung)
					if err := change(c.late); err == nil {
						t.Fatal("the hanging write succeeded")
					}
					time.Sleep(stuckPause) // the guard tries again after this
					s.script(nil)
					if err := change(c.newer); err != nil {
						t.Fatal(err)
					}
					if seenBy == "nobody, much later" {
						time.Sleep(time.Hour)
					}
					release() // now the old one lands
					synctest.Wait()
					switch seenBy {
					case "the next reader":
						wantSecret(t, k, c.newer)
					case "nobody":
						time.Sleep(2 * time.Minute)
					default:
						time.Sleep(time.Second)
					}
					want := ""
					if c.newer != "" {
						want = mustEncode(t, c.newer)
					}
					if got := s.item("p"); got != want {
						t.Errorf("the keychain holds %q, want %q", got, want)
					}
				})
			})
		}
	}
}

// The answer may be lost while the keychain goes on: the call came back with
// an error, and takes effect only later.
func TestT13FailedWriteThatLandsAfterAll(t *testing.T) {
	inGuard(t, func(t *testing.T, k *Keychain, s *scripted) {
		s.script(func(call string) error {
			if call == "set" {
				return errors.New("the connection was closed")
			}
			return nil
		})
		if err := k.Put(t.Context(), "p", cred("old"), provider.NoPrompt); err == nil {
			t.Fatal("it succeeded")
		}
		s.script(nil)
		mustPut(t, k, "new")
		s.mu.Lock()
		s.items["p"] = mustEncode(t, "old")
		s.mu.Unlock()
		time.Sleep(2 * time.Second) // the watch looks after a second
		if got := s.item("p"); got != mustEncode(t, "new") {
			t.Errorf("the keychain holds %q", got)
		}
		wantSecret(t, k, "new")
	})
}

// P10: where nothing newer was stored, a late write is better than none: the
// secret before it may be dead by then.
func TestP10LateWriteAloneStays(t *testing.T) {
	inGuard(t, func(t *testing.T, k *Keychain, s *scripted) {
		mustPut(t, k, "first")
		release := s.hang("set")
		if err := k.Put(t.Context(), "p", cred("rotated"), provider.NoPrompt); err == nil {
			t.Fatal("the hanging write succeeded")
		}
		release()
		synctest.Wait()
		s.script(nil)
		wantSecret(t, k, "rotated")
	})
}

// What another program wrote is not ours to undo, in doubt or not.
func TestForeignWriteIsKept(t *testing.T) {
	inGuard(t, func(t *testing.T, k *Keychain, s *scripted) {
		release := s.hang("set")
		if err := k.Put(t.Context(), "p", cred("old"), provider.NoPrompt); err == nil {
			t.Fatal("the hanging write succeeded")
		}
		time.Sleep(stuckPause)
		s.script(nil)
		mustPut(t, k, "new")
		s.mu.Lock()
		s.items["p"] = mustEncode(t, "foreign")
		s.mu.Unlock()
		time.Sleep(2 * time.Minute)
		wantSecret(t, k, "foreign")
		release()
	})
}

// No copy of a secret stays in memory unless a write is in doubt.
func TestP1NothingIsRememberedWithoutDoubt(t *testing.T) {
	inGuard(t, func(t *testing.T, k *Keychain, _ *scripted) {
		mustPut(t, k, "a")
		mustPut(t, k, "b")
		if err := k.Delete(t.Context(), "p", provider.NoPrompt); err != nil {
			t.Fatal(err)
		}
		if err := k.Delete(t.Context(), "p", provider.NoPrompt); err != nil {
			t.Fatal(err)
		}
		if len(k.doubts.m) != 0 {
			t.Errorf("%d profiles are in doubt", len(k.doubts.m))
		}
	})
}
