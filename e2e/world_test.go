//go:build unix

package e2e_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/doctor"
)

// world is a home, and what runs in it.
type world struct {
	dir   string // everything below it is searched for leaks
	run   string // XDG_RUNTIME_DIR
	env   []string
	sim   *exec.Cmd
	url   string // of the simulator
	agent *process
	extra []func()

	report *doctor.Report // the last one; nil: nothing was examined

	display string    // of the X server; empty: none runs
	dunst   *exec.Cmd // nil: it does not run
}

// process is a program that runs until it is stopped.
type process struct {
	*exec.Cmd
	ended chan struct{} // closed once it has
}

func newWorld(dir string) (*world, error) {
	run, err := os.MkdirTemp("", "run") // a socket's path must be short
	if err != nil {
		return nil, err
	}
	home := filepath.Join(dir, "home")
	if err := os.Mkdir(home, 0o700); err != nil {
		return nil, err
	}
	w := &world{dir: dir, run: run}
	w.extra = append(w.extra, func() {
		killAgents(run)
		_ = os.RemoveAll(run)
	})
	w.env = []string{
		"HOME=" + home, "XDG_RUNTIME_DIR=" + run, "PATH=" + bin + ":" + os.Getenv("PATH"), "LANG=C.UTF-8",
		"XDG_CONFIG_HOME=", "XDG_STATE_HOME=", "XDG_DATA_HOME=", "XDG_CACHE_HOME=", "DBUS_SESSION_BUS_ADDRESS=",
		"HTTP_PROXY=", "HTTPS_PROXY=", "http_proxy=", "https_proxy=", "GORACE=halt_on_error=1", "TERM=dumb",
	}
	return w, nil
}

// worldFor is newWorld for a test, at whose end it is closed.
func worldFor(t testing.TB) *world {
	t.Helper()
	w, err := newWorld(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	return w
}

// served is worldFor with a simulator, as startSim makes it, and an agent.
func served(t testing.TB, accounts, flags []string) *world {
	t.Helper()
	w := worldFor(t)
	if err := w.startSim(accounts, flags); err != nil {
		t.Fatal(err)
	}
	if err := w.startAgent(w.env); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) close() {
	if w.agent != nil {
		w.agent.stop(syscall.SIGKILL)
	}
	if w.sim != nil {
		_ = w.sim.Process.Kill()
		_ = w.sim.Wait()
	}
	for _, f := range w.extra {
		f()
	}
}

// killAgents ends the agents that cspctl started by itself: they are nobody's
// children, so they are found by the runtime folder in their environment.
func killAgents(run string) {
	for _, pid := range agentsOf(run) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

func agentsOf(run string) (pids []int) {
	entries, _ := filepath.Glob("/proc/[0-9]*")
	for _, e := range entries {
		cmdline, _ := os.ReadFile(e + "/cmdline")
		if !bytes.HasPrefix(cmdline, []byte(filepath.Join(bin, "csp-agent")+"\x00")) {
			continue
		}
		environ, _ := os.ReadFile(e + "/environ") // root's to read; else none is found, and none is killed
		if bytes.Contains(environ, []byte("XDG_RUNTIME_DIR="+run)) {
			var pid int
			if _, err := fmt.Sscan(filepath.Base(e), &pid); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// startSim starts a simulator with an API token for each account, in
// ACCOUNT.token below dir.
func (w *world) startSim(accounts, flags []string) error {
	ready := filepath.Join(w.dir, "sim.url")
	args := []string{"-ready-file", ready}
	for _, a := range accounts {
		args = append(args, "-token-file", a+"="+filepath.Join(w.dir, a+".token"))
	}
	w.sim = exec.Command(filepath.Join(bin, "csp-sim"), append(args, flags...)...)
	log, err := os.Create(filepath.Join(w.dir, "sim.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	w.sim.Stderr, w.sim.Dir = log, w.dir
	if err := w.sim.Start(); err != nil {
		return err
	}
	return within(10*time.Second, func() error {
		b, err := os.ReadFile(ready)
		if err != nil {
			said, _ := os.ReadFile(log.Name())
			return fmt.Errorf("the simulator: %w: %s", err, said)
		}
		w.url = strings.TrimSpace(string(b))
		return nil
	})
}

// startAgent starts an agent, its log in agent.log below dir, and waits until
// it answers.
func (w *world) startAgent(env []string) error {
	return w.startAgentOf(filepath.Join(bin, "csp-agent"), env)
}

// startAgentOf is startAgent for another program.
func (w *world) startAgentOf(exe string, env []string) error {
	log, err := os.OpenFile(filepath.Join(w.dir, "agent.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	c := exec.Command(exe, "run")
	c.Env, c.Stdout, c.Stderr = env, log, log
	if err := c.Start(); err != nil {
		return err
	}
	p := &process{Cmd: c, ended: make(chan struct{})}
	go func() { _ = c.Wait(); close(p.ended) }()
	w.agent = p
	return within(10*time.Second, func() error {
		select {
		case <-p.ended:
			return errStop{fmt.Errorf("the agent ended at once: %s", c.ProcessState)}
		default:
		}
		s := exec.Command(filepath.Join(bin, "cspctl"), "status")
		s.Env = env
		if out, err := s.CombinedOutput(); err != nil {
			return fmt.Errorf("the agent does not answer: %w: %s", err, out)
		}
		return nil
	})
}

// stop signals a process and waits for its end.
func (p *process) stop(sig syscall.Signal) {
	_ = p.Process.Signal(sig)
	select {
	case <-p.ended:
	case <-time.After(15 * time.Second):
		_ = p.Process.Kill()
		<-p.ended
	}
}

// errStop ends within at once.
type errStop struct{ error }

// within tries until f succeeds: for what other processes do by themselves,
// and tell nobody.
func within(d time.Duration, f func() error) error {
	end := time.Now().Add(d)
	for {
		err := f()
		if err == nil {
			return nil
		}
		if s, ok := errors.AsType[errStop](err); ok || time.Now().After(end) {
			if ok {
				return s.error
			}
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// control calls the simulator's control plane.
func (w *world) control(method, path, body string, out any) error {
	req, err := http.NewRequest(method, w.url+"/_sim/"+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Timeout: 30 * time.Second}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s %s (%w)", method, path, resp.Status, b, err)
	}
	if out != nil {
		return json.Unmarshal(b, out)
	}
	return nil
}

// exchanges counts the exchanges that arrived at the simulator.
func (w *world) exchanges() (int, error) {
	var stats struct{ Exchanges int }
	return stats.Exchanges, w.control("GET", "stats", "", &stats)
}
