//go:build unix && !darwin

package keychain_test

import (
	"fmt"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/cspctl/cspctl/internal/keychain/keychaintest"
	"github.com/cspctl/cspctl/internal/provider"
)

// noLeak fails the test if f leaves more goroutines behind than slack. A first
// round of f sets up what lasts.
func noLeak(t *testing.T, slack int, f func()) {
	t.Helper()
	f()
	before := calm()
	f()
	if after := calm(); after > before+slack {
		var b strings.Builder
		_ = pprof.Lookup("goroutine").WriteTo(&b, 1)
		t.Errorf("%d goroutines before, %d after: %s", before, after, b.String())
	}
}

// calm waits until the number of goroutines has not fallen for a while.
func calm() int {
	least := runtime.NumGoroutine()
	for quiet := 0; quiet < 20; quiet++ {
		time.Sleep(5 * time.Millisecond)
		if n := runtime.NumGoroutine(); n < least {
			least, quiet = n, 0
		}
	}
	return least
}

// T13: go-keyring alone leaves thousands of goroutines after 100 calls to a
// locked keychain, and one more per signal and call from then on.
func TestT13NoGoroutineStays(t *testing.T) {
	b := startBus(t)
	s := keychaintest.Start(t, b)
	k, hasty := newKeychain(t), impatient(t)
	put(t, k, "p", 1)
	get := func(p provider.Prompt) { _, _ = k.Get(t.Context(), "p", p) }

	t.Run("100 locked, no prompt", func(t *testing.T) {
		s.SetLocked(true)
		noLeak(t, 2, func() {
			for range 100 {
				get(provider.NoPrompt)
			}
		})
	})
	t.Run("30 dismissed", func(t *testing.T) {
		s.SetLocked(true)
		s.SetAnswer(keychaintest.Dismiss)
		noLeak(t, 2, func() {
			for range 30 {
				get(provider.MayPrompt)
			}
		})
	})
	t.Run("5 never answered", func(t *testing.T) {
		s.SetLocked(true)
		s.SetAnswer(keychaintest.Ignore)
		noLeak(t, 2, func() {
			for range 5 {
				_, _ = hasty.Get(t.Context(), "p", provider.MayPrompt)
			}
		})
	})
	t.Run("30 accepted", func(t *testing.T) {
		s.SetAnswer(keychaintest.Accept)
		noLeak(t, 30, func() { // bounded by the prompts that one connection may see
			for range 30 {
				s.SetLocked(true)
				if _, err := k.Get(t.Context(), "p", provider.MayPrompt); err != nil {
					t.Fatal(err)
				}
			}
		})
	})
	t.Run("100 good ones, with signals", func(t *testing.T) {
		s.SetLocked(false)
		conn, err := dbus.Connect(b.Address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		noLeak(t, 2, func() {
			for i := range 100 {
				expect(t, k, "p", 1)
				path := dbus.ObjectPath(fmt.Sprintf("/org/freedesktop/secrets/prompt/x%d", i))
				if err := conn.Emit(path, "org.freedesktop.Secret.Prompt.Completed", true, dbus.MakeVariant("")); err != nil {
					t.Fatal(err)
				}
			}
		})
	})
	t.Run("100 states without a bus", func(t *testing.T) {
		b.Kill()
		noLeak(t, 2, func() {
			for range 100 {
				k.State(t.Context())
			}
		})
	})
}
