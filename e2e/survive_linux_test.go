package e2e_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// unserviced is a world without a service manager: cspctl starts the agent. The
// secret of prod is in the encrypted file.
func unserviced(t *testing.T, home func(dir string)) *world {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to find and end the agents it starts")
	}
	w := shortWorld(t)
	if home != nil {
		home(filepath.Join(w.dir, "home"))
	}
	if err := w.startSim([]string{"prod"}, nil); err != nil {
		t.Fatal(err)
	}
	w.env = append(w.env, "CSP_AGENT_STORE_KEY_FILE="+storeKey(t, w.dir))
	if out, err := w.login("prod", "prod.token", "--store", "file"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	w.mustServe(t, "at first")
	return w
}

// shortWorld is worldFor below a short path: without a runtime directory, the
// socket is in the home.
func shortWorld(t *testing.T) *world {
	t.Helper()
	dir, err := os.MkdirTemp("", "w")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	w, err := newWorld(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	return w
}

// mustServe asks for a token: first as a script does, which the cache may
// answer, then for a new one, for which the store is read and the server asked.
func (w *world) mustServe(t *testing.T, when string) {
	t.Helper()
	for _, args := range [][]string{{"token", "prod"}, {"token", "prod", "--fresh"}} {
		out, code, stderr := w.do(args...)
		if code != 0 || !strings.HasPrefix(out, "eyJ") {
			t.Errorf("%s: cspctl %s: exit %d: %.10q %s", when, strings.Join(args, " "), code, out, stderr)
		}
	}
}

// do runs cspctl.
func (w *world) do(args ...string) (stdout string, code int, stderr string) {
	c := w.cspctl(args...)
	var out, bad bytes.Buffer
	c.Stdout, c.Stderr = &out, &bad
	_ = c.Run()
	return out.String(), c.ProcessState.ExitCode(), bad.String()
}

// P8: without a service manager as well, after each of these the next cspctl
// token works.
func TestP8SurvivesWithoutAServiceManager(t *testing.T) {
	for _, c := range []struct {
		name   string
		agents int // at most
		harm   func(t *testing.T, w *world)
	}{
		{"kill -9", 1, func(t *testing.T, w *world) { end(t, w.pid(t), syscall.SIGKILL) }},
		{"kill -9 while it is stopped", 1, func(t *testing.T, w *world) {
			pid := w.pid(t)
			if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			// Somebody is waiting for it meanwhile.
			waiting := w.cspctl("token", "prod")
			if err := waiting.Start(); err != nil {
				t.Fatal(err)
			}
			end(t, pid, syscall.SIGKILL)
			if err := waiting.Wait(); err != nil {
				t.Errorf("who waited: %v", err)
			}
		}},
		// Where the one that runs has not yet made it again, another is started
		// where it is without one.
		{"the runtime directory deleted", 2, func(t *testing.T, w *world) { w.mustRemove(t, w.run) }},
		{"the runtime directory deleted, then kill -9", 1, func(t *testing.T, w *world) {
			pid := w.pid(t)
			if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil { // else it may make it again in between
				t.Fatal(err)
			}
			w.mustRemove(t, w.run)
			end(t, pid, syscall.SIGKILL)
		}},
		{"kill -9, and what it left cut off", 1, func(t *testing.T, w *world) {
			end(t, w.pid(t), syscall.SIGKILL)
			entries, err := os.ReadDir(filepath.Join(w.run, "csp-agent"))
			if err != nil || len(entries) == 0 {
				t.Errorf("nothing is left of it: %v", err)
			}
			for _, e := range entries { // cut off, as by a machine that lost its power
				if e.Type().IsRegular() {
					_ = os.Truncate(filepath.Join(w.run, "csp-agent", e.Name()), 0)
				}
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := unserviced(t, nil)
			for _, when := range []string{"once", "twice"} {
				c.harm(t, w)
				w.mustServe(t, when)
				if pids := agentsOf(w.run); len(pids) == 0 || len(pids) > c.agents {
					t.Errorf("%s: agents: %v", when, pids)
				}
			}
		})
	}
}

func (w *world) mustRemove(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

// P8: an agent that is stopped for a minute costs those who ask meanwhile an
// error within their time, which says what to do; whoever asks later is served
// by the same agent, at once.
func TestP8StoppedForAMinute(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a minute; run without -short")
	}
	t.Parallel()
	w := unserviced(t, nil)
	pid := w.pid(t)
	begin := time.Now()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(pid, syscall.SIGCONT) }()
	out, code, stderr := w.do("token", "prod")
	if took := time.Since(begin); code != 6 || out != "" || took > 50*time.Second ||
		!strings.Contains(stderr, "did not answer in time") || !strings.Contains(stderr, "csp-agent restart") {
		t.Errorf("after %v: exit %d, %q, %s", took, code, out, stderr)
	}
	time.Sleep(time.Minute - time.Since(begin)) // no event: a minute is what is tested
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	w.mustServe(t, "after the minute")
	if now := w.pid(t); now != pid {
		t.Errorf("another agent answers: %d, not %d", now, pid)
	}
}

// P8: on a full disk a killed agent is replaced, and the secret that was
// stored before gives tokens; once there is room, all is as it was.
func TestP8KilledOnAFullDisk(t *testing.T) {
	w := unserviced(t, func(home string) {
		if err := syscall.Mount("tmpfs", home, "tmpfs", 0, "size=256k"); err != nil {
			t.Skipf("needs the right to mount a tmpfs: %v", err)
		}
		t.Cleanup(func() { _ = syscall.Unmount(home, syscall.MNT_DETACH) })
	})
	filler := filepath.Join(w.dir, "home", "filler")
	f, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{4096, 1} {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
	}
	if f.Close(); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	for range 2 {
		end(t, w.pid(t), syscall.SIGKILL)
		w.mustServe(t, "on the full disk")
	}
	w.mustRemove(t, filler)
	w.mustServe(t, "with room again")
	if out, err := w.login("prod", "prod.token", "--store", "file"); err != nil {
		t.Errorf("a login with room again: %v: %s", err, out)
	}
}

// P8: a replaced csp-agent leaves the one that runs at its work, and is what is
// started next; so is one that was deleted in between.
func TestP8ReplacedBinary(t *testing.T) {
	w := unserviced(t, nil)
	end(t, w.pid(t), syscall.SIGKILL)
	dir := t.TempDir()
	install := func(how string) {
		t.Helper()
		for _, name := range []string{"cspctl", "csp-agent"} {
			if err := exec.Command("cp", filepath.Join(bin, name), filepath.Join(dir, name+how)).Run(); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(filepath.Join(dir, name+how), filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	install(".new")
	shell := func(script string) (string, error) {
		c := exec.Command("sh", "-c", script)
		c.Env = append(w.env, "PATH="+dir+":"+os.Getenv("PATH"))
		out, err := c.CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	pid := func() string {
		t.Helper()
		out, err := shell(`cspctl status -o json | sed -n 's/^ *"pid": *\([0-9]*\).*/\1/p'`)
		if err != nil || out == "" {
			t.Fatalf("the agent's pid: %v: %s", err, out)
		}
		return out
	}
	t.Cleanup(func() {
		_, _ = shell("kill -9 $(cspctl status -o json | sed -n 's/^ *\"pid\": *\\([0-9]*\\).*/\\1/p')")
	})
	serve := func(when string) {
		t.Helper()
		if out, err := shell("cspctl token prod && cspctl token prod --fresh"); err != nil {
			t.Errorf("%s: %v: %s", when, err, out)
		}
	}
	exe := func() string {
		t.Helper()
		path, err := os.Readlink("/proc/" + pid() + "/exe")
		if err != nil {
			t.Fatal(err)
		}
		return path
	}

	serve("installed")
	first := pid()
	install(".newer")
	serve("replaced")
	if now := pid(); now != first || exe() != filepath.Join(dir, "csp-agent")+" (deleted)" {
		t.Errorf("after the replacement pid %s answers, not %s, as %s", now, first, exe())
	}
	if out, err := shell("kill -9 " + first); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	serve("replaced and killed")
	if pid() == first || exe() != filepath.Join(dir, "csp-agent") {
		t.Errorf("it is %s that runs", exe())
	}

	// In the middle of an upgrade there is none for a moment.
	w.mustRemove(t, filepath.Join(dir, "csp-agent"))
	serve("deleted")
	if out, err := shell("kill -9 " + pid() + "; PATH=/nonexistent " + filepath.Join(dir, "cspctl") + " token prod"); err == nil || !strings.Contains(out, "no csp-agent was found to start") {
		t.Errorf("deleted and killed: %v: %s", err, out)
	}
	install(".newest")
	serve("back again")
}

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
