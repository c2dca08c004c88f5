package autolock_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/autolock"
	"github.com/cspctl/cspctl/internal/systemdtest"
)

const playEnv = "AUTOLOCK_PLAY"

// TestMain lets this program be the watcher in a container.
func TestMain(m *testing.M) {
	if os.Getenv(playEnv) == "" {
		os.Exit(m.Run())
	}
	autolock.New(autolock.Options{
		Wanted: func() autolock.Wanted { return autolock.Wanted{Screen: true, Sleep: true} },
		Lock:   func(context.Context, bool) { fmt.Println("locked") },
		System: autolock.SystemAddresses(os.Getenv), Session: autolock.SessionAddresses(os.Getenv),
	}).Run(context.Background())
}

// The real logind: loginctl lock-session, of the user's own session and of
// another's.
func TestRealLogind(t *testing.T) {
	c := systemdtest.Boot(t)
	u := c.User(t, "cy")
	c.User(t, "di")
	program := c.PutSelf(t)
	for _, user := range []string{"cy", "di"} {
		c.Exec(t, "systemd-run", "--quiet", "--unit=session-of-"+user, "--property=PAMName=login", "--property=User="+user, "sleep", "600")
	}
	session := func(user string) (id string) {
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			for line := range strings.Lines(c.Exec(t, "loginctl", "list-sessions", "--no-legend")) {
				if f := strings.Fields(line); len(f) > 2 && f[2] == user {
					return f[0]
				}
			}
		}
		t.Fatalf("%s has no session: %s", user, c.Exec(t, "loginctl", "list-sessions"))
		return ""
	}
	own, other := session("cy"), session("di")
	cmd := u.Command(t.Context(), "env", playEnv+"=1", program)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	lines := make(chan string, 100)
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
	}()
	heard := func() bool {
		select {
		case <-lines:
			return true
		case <-time.After(100 * time.Millisecond):
			return false
		}
	}
	ok := false
	for end := time.Now().Add(patience); !ok && time.Now().Before(end); ok = heard() {
		c.Exec(t, "loginctl", "lock-session", own)
	}
	if !ok {
		t.Fatal("a lock of the own session was not heard")
	}
	for heard() {
	}
	if list := c.Exec(t, "systemd-inhibit", "--list", "--no-pager"); !strings.Contains(list, "csp-agent") {
		t.Errorf("no sleep is held up: %s", list)
	}
	c.Exec(t, "loginctl", "lock-session", other)
	c.Exec(t, "loginctl", "unlock-session", own)
	if heard() {
		t.Error("it locked for another's session, or for an unlock")
	}
	c.Exec(t, "loginctl", "lock-sessions")
	select {
	case <-lines:
	case <-time.After(patience):
		t.Error("lock-sessions was not heard")
	}
}
