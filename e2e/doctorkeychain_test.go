//go:build unix && !darwin

package e2e_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/keychain/keychaintest"
	"github.com/cspctl/cspctl/internal/sessionbus/bustest"
	"github.com/cspctl/cspctl/internal/term"
)

// T13 to T18: each way in which a Secret Service fails has words of its own, no
// dialog is shown for a look, and one that hangs holds nobody up.
func TestT13DoctorOnKeychains(t *testing.T) {
	b := bustest.StartBus(t)
	w := worldFor(t)
	w.env = append(w.env, "DBUS_SESSION_BUS_ADDRESS="+b.Address, "HTTPS_PROXY=http://127.0.0.1:1")
	want(t, w.examined(t), "keychain", "warn", "no keychain runs on the session bus", "start one .gnome-keyring.*cspctl login --store file")

	s := keychaintest.Start(t, b)
	if err := w.startSim([]string{"prod"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := w.startAgent(w.env); err != nil {
		t.Fatal(err)
	}
	if out, err := w.login("prod", "prod.token", "--store", "keychain"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if r := w.examined(t); !r.OK {
		t.Errorf("a false alarm in %+v", r.Checks)
	}

	prompting := func() int { return s.Calls(keychaintest.Unlock) + s.Calls(keychaintest.Prompt) }
	before := prompting() // by the login
	s.SetLocked(true)
	want(t, w.examined(t), "keychain", "fail", "the keychain is locked: profile prod has its secret there", "unlock it")
	if n := prompting() - before; n != 0 {
		t.Errorf("a look had %d calls that prompt", n)
	}
	// The agent remembers for two seconds what it saw.
	soon := func(args ...string) {
		t.Helper()
		err := within(10*time.Second, func() error {
			if r := w.examined(t); !lookUp(r, args...) {
				return fmt.Errorf("no %q in\n%s", args, r.Text(term.Style{}))
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	s.SetLocked(false)
	s.SetCollection("")
	soon("keychain", "fail", "no default collection", "seahorse")
	s.SetCollection("login")

	release := s.Hang(keychaintest.Collections)
	soon("keychain", "fail", "does not answer", "restart it")
	begun := time.Now()
	w.examined(t)
	if took := time.Since(begun); took > 15*time.Second {
		t.Errorf("it took %v", took)
	}
	release()

	b.Kill()
	soon("keychain", "fail", "session bus", "D-Bus")
}
