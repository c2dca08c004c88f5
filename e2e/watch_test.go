//go:build unix

package e2e_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

// watchedWorld has an agent with two profiles that are well and one that the
// server can't serve.
func watchedWorld(t *testing.T) *world {
	t.Helper()
	w := served(t, []string{"prod", "lab", "soon"}, []string{"-expires-in", "soon=20h"})
	for _, name := range []string{"prod", "lab", "soon"} {
		if out, err := w.cspctl("login", name, "--server", w.url, "--token-file", filepath.Join(w.dir, name+".token"), "--store", "memory").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	if err := w.control("POST", "faults", `{"token":"lab","endpoint":"authorize","status":503,"message":"`+strings.Repeat("down for maintenance ", 6)+`"}`, nil); err != nil {
		t.Fatal(err)
	}
	if out, err := w.cspctl("token", "lab", "--fresh").CombinedOutput(); err == nil {
		t.Fatalf("lab gives a token: %s", out)
	}
	return w
}

const watchCommand = `cspctl status --watch; echo "ended with $?"`

// A person watches, in terminals of two sizes: nothing wraps, a resize leaves
// nothing behind, the agent goes and comes back, and the terminal is as before.
func TestWatchInATerminal(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {200, 50}} {
		t.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(t *testing.T) {
			t.Parallel()
			w := watchedWorld(t)
			x := newTmux(t, w, size[0], size[1])
			x.enter("echo before-$((40+2))")
			x.waitFor("before-42")
			x.enter(watchCommand)
			checkWatch(t, x.waitFor("q ends"), size[1])
			if got := x.state(); got != watching {
				t.Errorf("while it watches: %s", got)
			}

			x.resize(60, 30) // narrower than the table: profiles below each other, or names cut
			s := x.until("a smaller picture", func(s string) bool {
				// Not the end of the larger one, as the terminal cuts it.
				return strings.Count(s, "\n") == 29 && strings.Contains(s, "q ends") && strings.Contains(s, "prod *")
			})
			checkWatch(t, s, 30)
			x.resize(50, 9)
			s = x.until("that there is no room", func(s string) bool { return strings.Count(s, "\n") == 8 && strings.Contains(s, "more") })
			if !strings.Contains(s, "in trouble: make the window") || strings.Count(s, "q ends") != 1 {
				t.Errorf("9 lines show\n%s", s)
			}
			x.resize(size[0], size[1])
			s = x.until("all of it", func(s string) bool {
				return strings.Contains(s, "soon ") && strings.Count(s, "\n") == size[1]-1 && strings.Contains(s, "q ends")
			})
			checkWatch(t, s, size[1])

			w.agent.stop(syscall.SIGTERM)
			gone := x.waitFor("no word from the agent for 2s: no agent answers at")
			if !strings.Contains(gone, "prod *") || !strings.Contains(gone, "as of ") {
				t.Errorf("without an agent it shows\n%s", gone)
			}
			if pids := agentsOf(w.run); os.Geteuid() == 0 && len(pids) > 0 {
				t.Errorf("it started an agent: %v", pids)
			}
			if err := w.startAgent(w.env); err != nil {
				t.Fatal(err)
			}
			x.until("the new agent", func(s string) bool {
				return strings.Contains(s, "pid "+strconv.Itoa(w.agent.Process.Pid)+",") && !strings.Contains(s, "no word")
			})

			x.press("C-c")
			s = x.waitFor("ended with 0")
			if want := "$ echo before-$((40+2))\nbefore-42\n$ " + watchCommand + "\nended with 0\n$"; strings.TrimSpace(s) != want {
				t.Errorf("afterwards the terminal shows\n%s\nwant\n%s", s, want)
			}
			if got := x.state(); got != ordinary {
				t.Errorf("afterwards: %s", got)
			}
			x.enter("echo typed") // the echo is back
			x.waitFor("$ echo typed\ntyped")
		})
	}
}

// checkWatch checks a picture that has room for all.
func checkWatch(t *testing.T, screen string, lines int) {
	t.Helper()
	if n := strings.Count(screen, "\n") + 1; n != lines {
		t.Errorf("%d lines of %d:\n%s", n, lines, screen)
	}
	for _, want := range []string{
		`(?m)^agent +version \S+, pid \d+, up \d+s$`,
		`(?m)^stores +keychain \w+, file \w+, memory ready$`,
		`(?m)^prod \* +ready +█+░ 29m  `,
		`(?m)^lab +(ready|failing) +█+░ 29m  `,
		`(?m)^soon +ready +█+░ 29m +when asked +█+░+ 19h`,
		`(?m)^ {4}127\.0\.0\.1.* can't answer now`,
		`(?m)^ {4}hint: make a new one: cspctl open soon, then`,
		`\n\d\d:\d\d:\d\d  q ends$`,
	} {
		if !regexp.MustCompile(want).MatchString(screen) {
			t.Errorf("no %s in\n%s", want, screen)
		}
	}
}

// However it is ended, the terminal is given back.
func TestWatchGivesTheTerminalBack(t *testing.T) {
	w := watchedWorld(t)
	x := newTmux(t, w, 80, 24)
	back := func(how string) {
		t.Helper()
		x.waitFor("ended with 0")
		if got := x.state(); got != ordinary {
			t.Errorf("after %s: %s", how, got)
		}
		x.enter("clear")
		x.until("an empty screen", func(s string) bool { return strings.TrimSpace(s) == "$" })
	}
	x.enter(watchCommand)
	x.waitFor("q ends")
	x.press("q")
	back("q")

	// A stop gives it back for as long.
	x.enter("cspctl status --watch")
	x.waitFor("q ends")
	x.press("C-z")
	x.waitFor("Stopped")
	if got := x.state(); got != ordinary {
		t.Errorf("when stopped: %s", got)
	}
	x.enter(`fg; echo "ended with $?"`)
	x.waitFor("q ends")
	if got := x.state(); got != watching {
		t.Errorf("when it goes on: %s", got)
	}
	x.press("C-c")
	back("a stop and Ctrl-C")

	pidFile := filepath.Join(w.dir, "pid")
	start := func() int {
		t.Helper()
		_ = os.Remove(pidFile)
		x.enter(`sh -c 'echo $$ >` + pidFile + `; exec cspctl status --watch'; echo "ended with $?"`)
		x.waitFor("q ends")
		b, err := os.ReadFile(pidFile)
		if err != nil {
			t.Fatal(err)
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
		if err != nil {
			t.Fatal(err)
		}
		return pid
	}
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		if err := syscall.Kill(start(), sig); err != nil {
			t.Fatal(err)
		}
		back(sig.String())
	}

	// Without a shell that could make it go on, it does not stop.
	x.run("new-window", "exec cspctl status --watch")
	x.waitFor("q ends")
	x.press("C-z", "C-l")
	x.until("more", func(s string) bool { return strings.Contains(s, "q ends") && x.state() == watching })
	x.press("q")
	x.until("the shell", func(s string) bool { return strings.TrimSpace(s) == "$" })

	pid := start()
	x.run("kill-server")
	if err := within(10*time.Second, func() error {
		if syscall.Kill(pid, 0) == nil {
			return os.ErrDeadlineExceeded
		}
		return nil
	}); err != nil {
		t.Error("it outlives its terminal")
	}
}

// What can't show it is refused, with the way out.
func TestWatchNeedsATerminalThatCanShowIt(t *testing.T) {
	w := watchedWorld(t)
	x := newTmux(t, w, 80, 24)
	for _, term := range []string{"xterm-256color", "screen", "vt100", "linux"} {
		x.enter("TERM=" + term + " " + watchCommand)
		x.waitFor("q ends")
		x.press("q")
		x.waitFor("ended with 0")
		x.enter("clear")
		x.until("an empty screen", func(s string) bool { return strings.TrimSpace(s) == "$" })
	}
	for _, c := range [][2]string{
		{"TERM=dumb cspctl status --watch", "cspctl: hint: leave out --watch, or set TERM"},
		{"(cspctl status --watch; exit $?) | cat; (exit ${PIPESTATUS[0]})", "cspctl: hint: leave out --watch, or don't redirect stdout"},
		{"cspctl status --watch -o json", `"hint":"leave`},
	} {
		x.enter(c[0] + `; echo "ended with $?"`)
		if s := x.waitFor("ended with 2"); !strings.Contains(strings.ReplaceAll(s, "\n", ""), c[1]) {
			t.Errorf("%s: no %q in\n%s", c[0], c[1], s)
		}
		x.enter("clear")
		x.until("an empty screen", func(s string) bool { return strings.TrimSpace(s) == "$" })
	}

	// Without --watch, it fits, and is in ASCII where the locale is.
	x.enter("clear; LC_ALL=C cspctl status")
	x.until("the status", func(s string) bool { return strings.Contains(s, "prod * ") && strings.HasSuffix(s, "\n$") })
	if s := x.screen(); !regexp.MustCompile(`(?m)^prod \* +ready +\[#+-\] 29m `).MatchString(s) {
		t.Errorf("shows\n%s", s)
	}
}

// The person is asked before a profile goes to another organization.
func TestLoginAsksBeforeAnotherOrg(t *testing.T) {
	w := watchedWorld(t)
	secret, err := os.ReadFile(filepath.Join(w.dir, "soon.token"))
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []struct{ answer, want string }{ // in this order: after a yes there is nothing to ask
		{"n", "nothing was changed"}, {"y", "replaced the API token of profile prod, now of soon@example.com"},
	} {
		c := w.cspctl("login", "prod")
		screen, err := pty.Start(c)
		if err != nil {
			t.Fatal(err)
		}
		_ = screen.SetReadDeadline(time.Now().Add(20 * time.Second))
		shown := ""
		waitFor := func(text string) {
			t.Helper()
			buf := make([]byte, 4096)
			for !strings.Contains(shown, text) {
				n, err := screen.Read(buf)
				shown += string(buf[:n])
				if err != nil && !strings.Contains(shown, text) {
					t.Fatalf("the terminal never showed %q: %q (%v)", text, shown, err)
				}
			}
		}
		waitFor("API token for profile prod: ")
		_, _ = io.WriteString(screen, strings.TrimSpace(string(secret))+"\r")
		waitFor("replace? [y/N] ")
		_, _ = io.WriteString(screen, q.answer+"\r")
		waitFor(q.want)
		_ = c.Wait()
		_ = screen.Close()
		if leak([]byte(shown), filepath.Join(w.dir, "soon.token")) != "" {
			t.Error("P1: the secret was shown")
		}
	}
}
