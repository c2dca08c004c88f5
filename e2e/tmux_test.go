//go:build unix

package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// tmux is a terminal with a shell in it, whose screen can be read.
type tmux struct {
	t      *testing.T
	socket string
	env    []string
}

// newTmux starts a shell in a terminal of so many columns and lines.
func newTmux(t *testing.T, w *world, columns, lines int) *tmux {
	t.Helper()
	for program, debian := range map[string]string{"tmux": "tmux", "bash": "bash"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("needs " + program + " (Debian package " + debian + ")")
		}
	}
	dir, err := os.MkdirTemp("", "tmux") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	x := &tmux{t: t, socket: filepath.Join(dir, "s"), env: append(append([]string{}, w.env...), "HISTFILE=", "TMUX=")}
	t.Cleanup(func() {
		c := exec.Command("tmux", "-S", x.socket, "kill-server")
		_ = c.Run()
		_ = os.RemoveAll(dir)
	})
	x.run("new-session", "-d", "-x", fmt.Sprint(columns), "-y", fmt.Sprint(lines), "exec env 'PS1=$ ' bash --norc --noprofile -i")
	x.waitFor("$")
	return x
}

// run gives tmux a command, and returns what it prints.
func (x *tmux) run(args ...string) string {
	x.t.Helper()
	c := exec.Command("tmux", append([]string{"-u", "-S", x.socket, "-f", "/dev/null"}, args...)...)
	c.Env = x.env
	out, err := c.CombinedOutput()
	if err != nil {
		x.t.Fatalf("tmux %q: %v: %s", args, err, out)
	}
	return string(out)
}

// screen returns the lines that the terminal shows, without those that are
// empty at the end.
func (x *tmux) screen() string {
	x.t.Helper()
	return strings.TrimRight(x.run("capture-pane", "-p"), "\n")
}

// state says whether the cursor is shown, and whether this is the alternate
// screen.
func (x *tmux) state() string {
	x.t.Helper()
	return strings.TrimSpace(x.run("display-message", "-p", "cursor #{cursor_flag}, alternate #{alternate_on}"))
}

const (
	ordinary = "cursor 1, alternate 0"
	watching = "cursor 0, alternate 1"
)

func (x *tmux) press(keys ...string) {
	x.t.Helper()
	x.run(append([]string{"send-keys"}, keys...)...)
}

// enter types a line.
func (x *tmux) enter(line string) {
	x.t.Helper()
	x.run("send-keys", "-l", line)
	x.press("Enter")
}

func (x *tmux) resize(columns, lines int) {
	x.t.Helper()
	x.run("resize-window", "-x", fmt.Sprint(columns), "-y", fmt.Sprint(lines))
}

// until waits for a screen that is as it should be, and returns it.
func (x *tmux) until(what string, ok func(screen string) bool) string {
	x.t.Helper()
	var last string
	if err := within(15*time.Second, func() error {
		if last = x.screen(); !ok(last) {
			return os.ErrDeadlineExceeded
		}
		return nil
	}); err != nil {
		x.t.Fatalf("the terminal never showed %s (%s):\n%s", what, x.state(), last)
	}
	return last
}

func (x *tmux) waitFor(text string) string {
	x.t.Helper()
	return x.until(text, func(s string) bool { return strings.Contains(s, text) })
}
