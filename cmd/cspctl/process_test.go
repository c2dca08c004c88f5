//go:build unix

package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
)

// process prepares a real cspctl that talks to agent.
func process(t *testing.T, agent *fakeAgent, name string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), "CSP_AGENT_SOCK="+agent.socket, "CSPCTL_AUTOSTART=0", "CSPCTL_PROFILE=", "CSPCTL_WARNINGS=",
		"GORACE=atexit_sleep_ms=0") // the race detector waits a second at each exit
	errs := &bytes.Buffer{}
	cmd.Stderr = errs
	return cmd, errs
}

func exitOf(t *testing.T, err error) int {
	t.Helper()
	if err == nil {
		return 0
	}
	e, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		t.Fatal(err)
	}
	return e.ExitCode()
}

// P3: whatever stdout is, a failure to write it is said, by exit code and text.
func TestP3RealStdoutThatCantBeWritten(t *testing.T) {
	f := newAgent(t)
	f.token(nil)

	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
	defer func() { _ = w.Close() }()
	cmd, errs := process(t, f, "cspctl", "token")
	cmd.Stdout = w
	if code := exitOf(t, cmd.Run()); code != 1 || !strings.Contains(errs.String(), "can't write to stdout: broken pipe") {
		t.Errorf("closed pipe: exit code %d, %q", code, errs)
	}

	if _, err := os.Stat("/dev/full"); err != nil {
		t.Log("no /dev/full here")
		return
	}
	cmd, errs = process(t, f, "sh", "-c", "cspctl token >/dev/full")
	if code := exitOf(t, cmd.Run()); code != 1 || !strings.Contains(errs.String(), "no space left") {
		t.Errorf("full disk: exit code %d, %q", code, errs)
	}
}

func TestTokenOfARealProcess(t *testing.T) {
	f := newAgent(t)
	f.token(nil)
	cmd, errs := process(t, f, "cspctl", "token")
	out, err := cmd.Output()
	if err != nil || string(out) != aToken+"\n" || errs.Len() > 0 {
		t.Errorf("got %q, %q, %v", out, errs, err)
	}
}

// The secret is asked for on the controlling terminal, whatever stdin is, and
// is not shown.
func TestLoginAsksOnTheTerminal(t *testing.T) {
	f := newAgent(t)
	f.profiles()
	f.accept()
	for keys, want := range map[string]struct {
		code int
		text string
	}{aSecret + "\r": {0, "logged in to profile default"}, "x\x03": {1, "cspctl: error: interrupted"}} {
		cmd, _ := process(t, f, "cspctl", "login")
		cmd.Stderr = nil // the terminal, set by pty
		screen, err := pty.Start(cmd)
		if err != nil {
			t.Fatal(err)
		}
		shown := newReader(t, screen)
		shown.waitFor("API token for profile default: ")
		_, _ = screen.WriteString(keys)
		shown.waitFor(want.text)
		if code := exitOf(t, cmd.Wait()); code != want.code {
			t.Errorf("exit code %d, want %d; %q", code, want.code, shown.text())
		}
		_ = screen.Close()
		if strings.Contains(shown.text(), aSecret) {
			t.Error("P1: the secret was shown")
		}
	}
	if got := f.login(t, "default").Secret.Reveal(); got != aSecret {
		t.Errorf("the agent got %q", got)
	}
}

// reader keeps what a terminal shows.
type reader struct {
	t    *testing.T
	more chan string
	all  string
}

func newReader(t *testing.T, f *os.File) *reader {
	r := &reader{t: t, more: make(chan string, 1024)}
	go func() {
		defer close(r.more)
		buf := make([]byte, 4096)
		for {
			n, err := f.Read(buf)
			if n > 0 {
				r.more <- string(buf[:n])
			}
			if err != nil {
				return
			}
		}
	}()
	return r
}

func (r *reader) text() string { return r.all }

func (r *reader) waitFor(text string) {
	r.t.Helper()
	for deadline := time.After(20 * time.Second); !strings.Contains(r.all, text); {
		select {
		case s, ok := <-r.more:
			if !ok {
				r.t.Fatalf("the terminal closed before it showed %q: %q", text, r.all)
			}
			r.all += s
		case <-deadline:
			r.t.Fatalf("the terminal never showed %q: %q", text, r.all)
		}
	}
}
