//go:build unix

package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/keychain/keychaintest"
	"github.com/cspctl/cspctl/internal/sessionbus/bustest"
	"github.com/cspctl/cspctl/internal/sim"
)

// killings is how often the agent is killed for each store: 260 times where the
// long form is asked for, as make test-long does.
func killings() int {
	if os.Getenv("CSPCTL_TEST_LONG") != "" {
		return 260
	}
	return 40
}

// P10: the agent is killed at random moments of an exchange in which the server
// replaces the token. Afterwards the profile works; or, where the server has
// replaced the token and the answer never became durable, says exactly that.
func TestP10KilledAtAnyMomentOfARotation(t *testing.T) {
	t.Run("file store", func(t *testing.T) {
		w := newRotation(t, nil)
		w.env = append(w.env, "CSP_AGENT_STORE_KEY_FILE="+storeKey(t, w.dir))
		w.killOften(t, "file")
	})
	t.Run("keychain", func(t *testing.T) {
		bus := bustest.StartBus(t)
		keychaintest.StartGNOMEKeyring(t, bus)
		w := newRotation(t, []string{"DBUS_SESSION_BUS_ADDRESS=" + bus.Address})
		w.killOften(t, "keychain")
	})
}

type rotation struct {
	*world
	sim *sim.Server
	url string
}

func newRotation(t *testing.T, env []string) *rotation {
	t.Helper()
	w := worldFor(t)
	w.env = append(w.env, env...)
	s := sim.New(sim.Options{})
	if _, err := s.AddVCDToken(sim.VCDToken{Name: "sa", Rotation: sim.RotationAlways}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return &rotation{w, s, server.URL}
}

// valid is the token that the server accepts now.
func (r *rotation) valid(t *testing.T) string {
	t.Helper()
	tok, ok := r.sim.VCDToken("sa")
	if !ok {
		t.Fatal("the simulator has forgotten the account")
	}
	return tok.Value
}

func (r *rotation) login(t *testing.T, store string) {
	t.Helper()
	c := r.cspctl("login", "sa", "--provider", "vcd", "--server", r.url, "--org", "acme", "--token-file", "-", "--store", store)
	c.Stdin = strings.NewReader(r.valid(t))
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("login: %v: %s", err, out)
	}
}

func (r *rotation) killOften(t *testing.T, store string) {
	t.Helper()
	if err := r.startAgent(r.env); err != nil {
		t.Fatal(err)
	}
	r.login(t, store)
	longest := time.Millisecond
	for range 5 {
		began := time.Now()
		if out, err := r.cspctl("token", "sa", "--fresh").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		longest = max(longest, time.Since(began))
	}
	lost, worked, moments := 0, 0, longest*5/4
	kills := killings()
	for i := range kills {
		asking := r.cspctl("token", "sa", "--fresh")
		asking.Env = append(asking.Env, "CSPCTL_AUTOSTART=0")
		if err := asking.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(rand.N(moments)) // the moment is the experiment
		r.agent.stop(syscall.SIGKILL)
		_ = asking.Wait()
		if err := r.startAgent(r.env); err != nil {
			t.Fatal(err)
		}
		out, err := r.cspctl("token", "sa", "--fresh").CombinedOutput()
		switch {
		case err == nil:
			worked++
		case strings.Contains(string(out), "is lost: an exchange that began on") && strings.Contains(string(out), "cspctl login sa"):
			if strings.Contains(string(out), r.valid(t)) {
				t.Fatalf("kill %d: the message holds the token", i)
			}
			lost++
			r.login(t, store)
		default:
			t.Fatalf("kill %d: %v: %s", i, err, out)
		}
	}
	// The moments were spread evenly, so the share of the lost ones is the
	// window's part of them.
	t.Logf("%d killings: %d went on, %d fell into the window that can't be closed, which is about %s wide here",
		kills, worked, lost, (moments * time.Duration(lost) / time.Duration(kills)).Round(100*time.Microsecond))
	if worked == 0 {
		t.Error("none went on")
	}
}

// The answer is lost on its way, with the agent alive.
func TestP10AnswerLostOnItsWay(t *testing.T) {
	r := newRotation(t, nil)
	if err := r.startAgent(r.env); err != nil {
		t.Fatal(err)
	}
	r.login(t, "memory")
	r.sim.AddFault(sim.Fault{Endpoint: sim.VCDTokenRequest, Drop: true, After: true, Times: 1})
	out, err := r.cspctl("token", "sa", "--fresh").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "is lost: an exchange that began on") {
		t.Errorf("%v: %s", err, out)
	}
	r.login(t, "memory")
	if out, err := r.cspctl("token", "sa").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if b, err := os.ReadFile(filepath.Join(r.dir, "agent.log")); err != nil || strings.Contains(string(b), r.valid(t)) {
		t.Error(fmt.Sprint("the log holds the token, or can't be read: ", err))
	}
}
