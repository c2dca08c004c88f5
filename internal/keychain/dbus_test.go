//go:build unix && !darwin

package keychain_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/zalando/go-keyring"

	"github.com/cspctl/cspctl/internal/keychain"
	"github.com/cspctl/cspctl/internal/keychain/keychaintest"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/sessionbus/bustest"
)

// impatient has short deadlines, for calls that are meant to run into them. On
// a busy machine, others may too.
func impatient(t *testing.T) *keychain.Keychain {
	t.Helper()
	return newKeychain(t, keychain.WithPatience(300*time.Millisecond, 600*time.Millisecond))
}

// soon is far less than the deadline of a call that may prompt, and enough for
// a busy machine.
const soon = 8 * time.Second

// The methods of a store, under one roof.
var operations = map[string]func(context.Context, keychain.Store, provider.Prompt) error{
	"get": func(ctx context.Context, s keychain.Store, p provider.Prompt) error {
		_, err := s.Get(ctx, "p", p)
		return err
	},
	"put": func(ctx context.Context, s keychain.Store, p provider.Prompt) error {
		return s.Put(ctx, "p", credential(1), p)
	},
	"delete": func(ctx context.Context, s keychain.Store, p provider.Prompt) error {
		return s.Delete(ctx, "p", p)
	},
}

// within fails the test if f takes longer.
func within(t *testing.T, most time.Duration, what string, f func()) {
	t.Helper()
	start := time.Now()
	f()
	if d := time.Since(start); d > most {
		t.Errorf("%s took %v, want at most %v", what, d, most)
	}
}

// The probe tells the conditions apart, and nothing prompts.
func TestKeychainStates(t *testing.T) {
	for _, c := range []struct {
		name   string
		setUp  func(t *testing.T) *keychaintest.Service
		status provider.StoreStatus
		detail string
	}{
		{"no bus", func(t *testing.T) *keychaintest.Service {
			t.Setenv("DBUS_SESSION_BUS_ADDRESS", "")
			t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
			return nil
		}, provider.StoreUnavailable, "there is no session bus"},
		{"autolaunch is asked for", func(t *testing.T) *keychaintest.Service {
			t.Setenv("DBUS_SESSION_BUS_ADDRESS", "autolaunch:")
			t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
			return nil
		}, provider.StoreUnavailable, "there is no session bus"},
		{"a bus that is gone", func(t *testing.T) *keychaintest.Service {
			b := startBus(t)
			b.Kill()
			return nil
		}, provider.StoreUnavailable, "session bus"},
		{"a bus that says nothing", func(t *testing.T) *keychaintest.Service {
			silentBus(t)
			return nil
		}, provider.StoreUnavailable, "the session bus does not answer"},
		{"no service", func(t *testing.T) *keychaintest.Service {
			startBus(t)
			return nil
		}, provider.StoreUnavailable, "no keychain runs on the session bus"},
		{"a service that does not start", func(t *testing.T) *keychaintest.Service {
			startBus(t, bustest.Activatable{Name: "org.freedesktop.secrets", Exec: "/bin/false"})
			return nil
		}, provider.StoreUnavailable, "is installed, but does not start"},
		{"no collection", func(t *testing.T) *keychaintest.Service {
			s := keychaintest.Start(t, startBus(t))
			s.SetCollection("")
			return s
		}, provider.StoreUnavailable, "has no default collection"},
		{"locked", func(t *testing.T) *keychaintest.Service {
			s := keychaintest.Start(t, startBus(t))
			s.SetLocked(true)
			return s
		}, provider.StoreLocked, "the keychain is locked"},
		{"locked, another name", func(t *testing.T) *keychaintest.Service {
			s := keychaintest.Start(t, startBus(t))
			s.SetCollection("mine")
			s.SetLocked(true)
			return s
		}, provider.StoreLocked, "the keychain is locked"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := c.setUp(t)
			k := impatient(t)
			within(t, soon, "state", func() { expectState(t, k, c.status, c.detail) })
			for name, do := range operations {
				within(t, soon, name, func() {
					expectError(t, do(t.Context(), k, provider.NoPrompt), c.status, c.detail)
				})
			}
			if s != nil && s.Calls(keychaintest.Prompt)+s.Calls(keychaintest.Unlock)+s.Calls(keychaintest.OpenSession) > 0 {
				t.Error("it went further than the probe")
			}
		})
	}
}

// silentBus listens like a bus, and never says a word.
func silentBus(t *testing.T) {
	t.Helper()
	dir, err := os.MkdirTemp("", "bus")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "bus"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "")
	t.Setenv("XDG_RUNTIME_DIR", dir)
}

// T18: no collection is called login; the default one is used.
func TestT18CollectionOfAnotherName(t *testing.T) {
	s := keychaintest.Start(t, startBus(t))
	s.SetCollection("mine")
	k := newKeychain(t)
	put(t, k, "p", 1)
	expect(t, k, "p", 1)
}

// T14: where there is no bus, none is launched, and the answer comes at once.
func TestT14NoBusIsLaunched(t *testing.T) {
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "")
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	bin := t.TempDir()
	marker := filepath.Join(bin, "launched")
	script := "#!/bin/sh\n: >'" + marker + "'\n"
	if err := os.WriteFile(filepath.Join(bin, "dbus-launch"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin)
	k := newKeychain(t)
	for name, do := range operations {
		for _, p := range []provider.Prompt{provider.NoPrompt, provider.MayPrompt} {
			within(t, time.Second, name, func() {
				expectError(t, do(t.Context(), k, p), provider.StoreUnavailable, "there is no session bus")
			})
		}
	}
	within(t, time.Second, "state", func() { expectState(t, k, provider.StoreUnavailable, "there is no session bus") })
	if _, err := os.Stat(marker); err == nil {
		t.Fatal("dbus-launch was run")
	}
	// The trap is there: without the guard it snaps.
	if _, err := os.Stat(fmt.Sprintf("/run/user/%d/bus", os.Getuid())); err == nil {
		return // the library would find this bus
	}
	_, _ = keyring.Get("cspctl-test", "p")
	if _, err := os.Stat(marker); err != nil {
		t.Error("this test no longer shows what it guards against")
	}
}

// T14: the bus in the runtime directory is found without its variable, and if
// the variable speaks of a session that is over.
func TestT14BusInTheRuntimeDirectory(t *testing.T) {
	for name, address := range map[string]string{
		"unset": "", "stale": "unix:path=/nonexistent/bus", "stale among two": "unix:path=/nonexistent/bus;unix:abstract=nobody-listens-here",
	} {
		t.Run(name, func(t *testing.T) {
			keychaintest.Start(t, startBus(t))
			t.Setenv("DBUS_SESSION_BUS_ADDRESS", address)
			k := newKeychain(t)
			put(t, k, "p", 1)
			expect(t, k, "p", 1)
		})
	}
}

// T13: a prompt that nobody answers ends the call at its deadline, and the
// next one may succeed.
func TestT13PromptThatNobodyAnswers(t *testing.T) {
	s := keychaintest.Start(t, startBus(t))
	k, hasty := newKeychain(t), impatient(t)
	put(t, k, "p", 1)
	s.SetLocked(true)
	for name, do := range operations {
		within(t, soon, name, func() {
			expectError(t, do(t.Context(), hasty, provider.MayPrompt), provider.StoreLocked, "nobody answered")
		})
	}
	if s.Calls(keychaintest.Prompt) != 3 {
		t.Errorf("%d prompts, want 3", s.Calls(keychaintest.Prompt))
	}
	s.SetAnswer(keychaintest.Accept)
	got, err := k.Get(t.Context(), "p", provider.MayPrompt)
	if err != nil || !same(got, credential(1)) {
		t.Errorf("after the password: %v", err)
	}
}

func TestPromptDismissed(t *testing.T) {
	s := keychaintest.Start(t, startBus(t))
	s.SetLocked(true)
	s.SetAnswer(keychaintest.Dismiss)
	k := newKeychain(t)
	for name, do := range operations {
		within(t, soon, name, func() {
			expectError(t, do(t.Context(), k, provider.MayPrompt), provider.StoreLocked, "dismissed")
		})
	}
}

// Keychains may lock items alone; a call that may not prompt leaves them so.
func TestLockedItem(t *testing.T) {
	s := keychaintest.Start(t, startBus(t))
	k := newKeychain(t)
	put(t, k, "p", 1)
	put(t, k, "q", 2)
	s.LockItems()
	for _, do := range operations {
		expectError(t, do(t.Context(), k, provider.NoPrompt), provider.StoreLocked, "item in the keychain is locked")
	}
	if s.Calls(keychaintest.Prompt) > 0 {
		t.Error("it prompted")
	}
	if len(s.Values()) != 2 {
		t.Error("a locked item was changed")
	}
	s.SetAnswer(keychaintest.Accept)
	got, err := k.Get(t.Context(), "p", provider.MayPrompt)
	if err != nil || !same(got, credential(1)) {
		t.Errorf("after the password: %v", err)
	}
}

var methodNames = []string{
	keychaintest.OpenSession, keychaintest.SearchItems, keychaintest.Unlock, keychaintest.CreateItem,
	keychaintest.GetSecret, keychaintest.Delete, keychaintest.Collections, keychaintest.Locked,
}

// T13: whatever hangs, calls end, State ends, and all is well afterwards.
func TestT13KeychainThatHangs(t *testing.T) {
	for _, method := range methodNames {
		t.Run(method, func(t *testing.T) {
			s := keychaintest.Start(t, startBus(t))
			k, hasty := newKeychain(t), impatient(t)
			put(t, k, "p", 1)
			release := s.Hang(method)
			for name, do := range operations {
				within(t, soon, name, func() { _ = do(t.Context(), hasty, provider.NoPrompt) })
			}
			within(t, soon, "state", func() { k.State(t.Context()) })
			release()
			put(t, k, "p", 2)
			expect(t, k, "p", 2)
			expectState(t, k, provider.StoreReady, "")
		})
	}
}

// T15: the keychain leaves in mid-call, and is found again when it is back.
func TestT15KeychainThatDiesAndComesBack(t *testing.T) {
	for _, method := range methodNames {
		t.Run(method, func(t *testing.T) {
			b := startBus(t)
			s := keychaintest.Start(t, b)
			k := newKeychain(t)
			put(t, k, "p", 1)
			s.On(method, s.Die)
			for name, do := range operations {
				within(t, soon, name, func() {
					if err := do(t.Context(), k, provider.NoPrompt); err != nil && !errors.Is(err, provider.ErrNoSecret) {
						expectError(t, err, provider.StoreUnavailable, "")
					}
				})
			}
			expectState(t, k, provider.StoreUnavailable, "no keychain runs")
			keychaintest.Start(t, b)
			put(t, k, "p", 2)
			expect(t, k, "p", 2)
		})
	}
}

// P8: the bus dies under a prompt, as at log-out, and comes back; the agent
// lives, and needs no restart.
func TestP8BusDiesUnderAPromptAndComesBack(t *testing.T) {
	b := startBus(t)
	s := keychaintest.Start(t, b)
	k := newKeychain(t)
	put(t, k, "p", 1)
	for name, do := range operations {
		s.SetLocked(true)
		s.On(keychaintest.Prompt, b.Kill)
		within(t, soon, name, func() {
			expectError(t, do(t.Context(), k, provider.MayPrompt), provider.StoreUnavailable, "session bus")
		})
		expectState(t, k, provider.StoreUnavailable, "session bus")
		b.Restart(t)
		expectState(t, k, provider.StoreUnavailable, "no keychain runs")
		s = keychaintest.Start(t, b)
		put(t, k, "p", 1)
		expect(t, k, "p", 1)
	}
}

// T13: the keychain does a write after its caller was told that it failed, and
// after a newer one.
func TestT13LateCreateItem(t *testing.T) {
	for _, newer := range []int{2, 0} { // 0: a Delete
		t.Run(fmt.Sprint(newer), func(t *testing.T) {
			s := keychaintest.Start(t, startBus(t))
			k := newKeychain(t, keychain.WithPatience(time.Second, time.Second))
			release := s.HangNext(keychaintest.CreateItem)
			expectError(t, k.Put(t.Context(), "p", credential(1), provider.NoPrompt), provider.StoreUnavailable, "did not answer")
			if newer == 0 {
				if err := k.Delete(t.Context(), "p", provider.NoPrompt); err != nil {
					t.Fatal(err)
				}
			} else {
				put(t, k, "p", newer)
			}
			release()
			old := credential(1).Secret.Reveal()
			await(t, "the late write, or its repair", func() bool { return strings.Contains(s.Values()["p"], old) || s.Calls(keychaintest.CreateItem) > 2 })
			if newer == 0 {
				if _, err := k.Get(t.Context(), "p", provider.NoPrompt); !errors.Is(err, provider.ErrNoSecret) {
					t.Errorf("got %v", err)
				}
			} else {
				expect(t, k, "p", newer)
			}
			if strings.Contains(s.Values()["p"], old) {
				t.Error("the old secret is still in the keychain")
			}
		})
	}
}

func await(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !f(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// P9: no keychain is an error with a way out, not a file.
func TestP9NoKeychainWritesNothing(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_RUNTIME_DIR", home)
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "")
	err := newKeychain(t).Put(t.Context(), "p", credential(1), provider.MayPrompt)
	expectError(t, err, provider.StoreUnavailable, "no session bus")
	if e, _ := errors.AsType[*provider.StoreError](err); !strings.Contains(e.State.Hint, "D-Bus") {
		t.Errorf("hint %q", e.State.Hint)
	}
	if entries, err := os.ReadDir(home); err != nil || len(entries) > 0 {
		t.Errorf("%v, %v", entries, err)
	}
}
