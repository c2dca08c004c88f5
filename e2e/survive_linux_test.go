package e2e_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
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
