//go:build unix

package e2e_test

import (
	"bufio"
	"bytes"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// pipeAgent is startAgent with a pipe for the log, whose reader the test is. If
// full, nothing goes into the pipe any more.
func (w *world) pipeAgent(t *testing.T, full bool) (reader *os.File) {
	t.Helper()
	r, log, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	t.Cleanup(func() { r.Close() })
	if full {
		if err := log.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		for err == nil {
			_, err = log.Write([]byte("\n"))
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
	}
	c := exec.Command(filepath.Join(bin, "csp-agent"), "run")
	c.Env, c.Stderr = w.env, log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{Cmd: c, ended: make(chan struct{})}
	go func() { _ = c.Wait(); close(p.ended) }()
	w.agent = p
	if err := within(10*time.Second, func() error { return w.cspctl("profile", "list").Run() }); err != nil {
		t.Fatal(err)
	}
	return r
}

// bareWorld is a world with a simulator and no agent yet.
func bareWorld(t *testing.T) *world {
	t.Helper()
	w := worldFor(t)
	w.env = append(w.env, "CSPCTL_AUTOSTART=0")
	if err := w.startSim([]string{"prod"}, nil); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) mustLogin(t *testing.T) {
	t.Helper()
	if out, err := w.login("prod", "prod.token", "--store", "memory"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// mustAsk asks for n tokens that are in the cache.
func mustAsk(t *testing.T, c *http.Client, n int) {
	t.Helper()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for range n / 20 {
				if r, err := ask(c, "profile=prod"); err != nil || r.Token == "" {
					t.Errorf("%+v, %v", r, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// mustEnd ends the agent by SIGTERM.
func (w *world) mustEnd(t *testing.T) {
	t.Helper()
	begin := time.Now()
	w.agent.stop(syscall.SIGTERM)
	if took, code := time.Since(begin), w.agent.ProcessState.ExitCode(); took > 5*time.Second || code != 0 {
		t.Errorf("SIGTERM ended it with %d after %v", code, took)
	}
}

// P4: nobody waits for a log that nobody reads, and the log says later how
// much of it is missing.
func TestP4LogThatNobodyReads(t *testing.T) {
	t.Parallel()
	w := bareWorld(t)
	r := w.pipeAgent(t, true)
	w.mustLogin(t)
	c := w.socketClient(t)
	c.Timeout = 10 * time.Second
	mustAsk(t, c, 4000)

	said := make(chan bool)
	lines := bufio.NewScanner(r)
	go func() {
		found := false
		for !found && lines.Scan() {
			found = strings.Contains(lines.Text(), "lines of the log are lost")
		}
		said <- found
	}()
	select {
	case found := <-said:
		if !found {
			t.Error("the log does not say that lines are missing")
		}
	case <-time.After(20 * time.Second):
		t.Error("the log says nothing of missing lines")
	}
	mustAsk(t, c, 4000) // and full again
	w.mustEnd(t)
}

// P8: an agent whose log has lost its reader, as in a pipe to head, lives on.
func TestP8LogWithoutReader(t *testing.T) {
	t.Parallel()
	w := bareWorld(t)
	r := w.pipeAgent(t, false)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	w.mustLogin(t)
	mustAsk(t, w.socketClient(t), 100)
	w.mustEnd(t)
}

// P4: nor does anybody wait for the audit log.
func TestP4AuditFileIsAPipe(t *testing.T) {
	t.Parallel()
	w := bareWorld(t)
	audit := filepath.Join(w.dir, "home", ".local", "state", "cspctl", "audit.jsonl")
	if err := errors.Join(os.MkdirAll(filepath.Dir(audit), 0o700), syscall.Mkfifo(audit, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := w.startAgent(w.env); err != nil {
		t.Fatal(err)
	}
	w.mustLogin(t)
	mustAsk(t, w.socketClient(t), 100)
	w.mustEnd(t)
	log, err := os.ReadFile(filepath.Join(w.dir, "agent.log"))
	if err != nil || bytes.Count(log, []byte("audit log cannot be written")) != 1 {
		t.Errorf("%v, %s", err, log)
	}
}

// Every token that was handed out is on record when the agent has ended.
func TestAuditHasEveryToken(t *testing.T) {
	t.Parallel()
	w := bareWorld(t)
	if err := w.startAgent(w.env); err != nil {
		t.Fatal(err)
	}
	w.mustLogin(t)
	mustAsk(t, w.socketClient(t), 3000)
	w.mustEnd(t)
	b, err := os.ReadFile(filepath.Join(w.dir, "home", ".local", "state", "cspctl", "audit.jsonl"))
	if n := bytes.Count(b, []byte(`"profile":"prod","kind":"access"`)); err != nil || n != 3000 || bytes.Count(b, []byte("\n")) != 3001 { // and the login
		t.Errorf("%d lines, %v", n, err)
	}
}
