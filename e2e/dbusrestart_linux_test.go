package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// P8, T15: a session bus that is restarted takes the keychain away and brings
// it back. Meanwhile the cached token is served, and a new one is refused with
// the reason; afterwards the same agent works, and so does its successor.
func TestP8T15DBusRestarted(t *testing.T) {
	for program, of := range map[string]string{"dbus-daemon": "dbus", "gnome-keyring-daemon": "gnome-keyring"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("needs %s (Debian package %s)", program, of)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, to find and end the agents it starts")
	}
	w := shortWorld(t)
	if err := w.startSim([]string{"prod"}, nil); err != nil {
		t.Fatal(err)
	}
	w.env = append(w.env, "DBUS_SESSION_BUS_ADDRESS=unix:path="+w.run+"/bus")
	start := func() (stop func()) {
		t.Helper()
		var started []*exec.Cmd
		for _, args := range [][]string{
			{"dbus-daemon", "--session", "--nofork", "--address=unix:path=" + w.run + "/bus"},
			{"gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets"},
		} {
			c := exec.Command(args[0], args[1:]...)
			c.Env, c.Stdin = w.env, strings.NewReader("pw")
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			started = append(started, c)
			name := map[string]string{"dbus-daemon": "org.freedesktop.DBus"}[args[0]]
			if name == "" {
				name = "org.freedesktop.secrets"
			}
			if err := within(20*time.Second, func() error { return owned(w.run+"/bus", name) }); err != nil {
				t.Fatal(err)
			}
		}
		stop = func() {
			for _, c := range started {
				_ = c.Process.Kill()
				_ = c.Wait()
			}
			_ = os.Remove(w.run + "/bus")
			started = nil
		}
		t.Cleanup(stop)
		return stop
	}

	stop := start()
	if out, err := w.login("prod", "prod.token", "--store", "keychain"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	w.mustServe(t, "at first")
	pid := w.pid(t)
	stop()
	if out, code, stderr := w.do("token", "prod"); code != 0 || !strings.HasPrefix(out, "eyJ") {
		t.Errorf("from the cache, without the bus: exit %d, %s", code, stderr)
	}
	begin := time.Now()
	if out, code, stderr := w.do("token", "prod", "--fresh"); code != 8 || out != "" || !strings.Contains(stderr, "cspctl: hint: ") || time.Since(begin) > 20*time.Second {
		t.Errorf("without the bus, after %v: exit %d, %q, %s", time.Since(begin), code, out, stderr)
	}
	stop = start()
	w.mustServe(t, "with the bus again")
	if now := w.pid(t); now != pid {
		t.Errorf("another agent answers: %d, not %d", now, pid)
	}
	stop()
	end(t, pid, syscall.SIGKILL)
	start()
	w.mustServe(t, "bus and agent restarted")
}

// owned reports who is not on the bus.
func owned(socket, name string) error {
	c, err := dbus.Connect("unix:path=" + socket)
	if err != nil {
		return err
	}
	defer c.Close()
	var is bool
	if err := c.BusObject().Call("org.freedesktop.DBus.NameHasOwner", 0, name).Store(&is); err != nil || !is {
		return errors.Join(err, fmt.Errorf("nobody is %s", name))
	}
	return nil
}
