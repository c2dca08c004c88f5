//go:build linux

package e2e_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/cspctl/cspctl/internal/sessionbus/bustest"
)

// The screen is locked, and with it the agent; the settings may say otherwise
// at any time.
func TestAutoLockWithTheScreen(t *testing.T) {
	w, bus := worldFor(t), bustest.StartBus(t)
	w.env = append(w.env, "DBUS_SESSION_BUS_ADDRESS="+bus.Address, "DBUS_SYSTEM_BUS_ADDRESS="+bus.Address)
	config := filepath.Join(w.dir, "home/.config/cspctl/config.toml")
	write := func(text string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(config), 0o700), os.WriteFile(config, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	write("store = \"memory\"\n[lock]\non_screen_lock = true\nbefore_sleep = true\n")
	if err := errors.Join(w.startSim([]string{"prod"}, nil), w.startAgent(w.env)); err != nil {
		t.Fatal(err)
	}
	w.mustLogin(t)
	conn := bus.Connect(t)
	const name = "org.gnome.ScreenSaver"
	if _, err := conn.RequestName(name, dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
	active := func() {
		t.Helper()
		if err := conn.Emit("/org/gnome/ScreenSaver", name+".ActiveChanged", true); err != nil {
			t.Fatal(err)
		}
	}
	status := func() string {
		out, err := w.cspctl("status", "-o", "json").Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	token := func() int {
		c := w.cspctl("token", "prod")
		out, err := c.Output()
		if (err == nil) != strings.HasPrefix(string(out), "eyJ") {
			t.Errorf("printed %q, %v", out, err)
		}
		return c.ProcessState.ExitCode()
	}
	if token() != 0 {
		t.Fatal("no token")
	}

	// Without a passphrase, what is cached is wiped, and the agent goes on.
	if err := within(20*time.Second, func() error {
		active()
		if s := status(); strings.Contains(s, `"access_token"`) || strings.Contains(s, `"locked": true`) {
			return errors.New("still cached, or locked: " + s)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if token() != 0 {
		t.Error("the agent does not go on")
	}

	// With one, it is locked.
	passphrase := func(text string) int {
		c := w.cspctl("unlock", "--passphrase-file", "-")
		c.Stdin = strings.NewReader(text)
		out, err := c.CombinedOutput()
		if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
			t.Fatalf("%v: %s", err, out)
		}
		return c.ProcessState.ExitCode()
	}
	if passphrase("correct horse") != 0 {
		t.Fatal("no passphrase was set")
	}
	active()
	if err := within(20*time.Second, func() error {
		if token() != 8 {
			return errors.New("not locked")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(filepath.Join(w.dir, "agent.log"))
	if err != nil || !strings.Contains(string(log), `the agent is locked" why="the screen was locked"`) || strings.Contains(string(log), "correct horse") {
		t.Errorf("%v: %s", err, log)
	}
	if passphrase("correct horse") != 0 || token() != 0 {
		t.Error("it can't be unlocked")
	}
}
