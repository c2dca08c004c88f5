package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// world is a simulator and an agent in a home of their own.
type world struct {
	bin, home, url, socket string
	env                    []string
	agent                  *exec.Cmd
	closers                []func()
}

func newWorld(bin string) (*world, error) {
	home, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	w := &world{bin: bin, home: home, socket: filepath.Join(home, "run", "csp-agent", "agent.sock")}
	w.closers = append(w.closers, func() { _ = os.RemoveAll(home) })
	if err := os.Mkdir(filepath.Join(home, "run"), 0o700); err != nil {
		return nil, err
	}
	w.env = []string{"HOME=" + home, "XDG_RUNTIME_DIR=" + home + "/run", "PATH=" + bin + ":" + os.Getenv("PATH"), "CSPCTL_AUTOSTART=0", "LANG=C"}
	sim, err := w.start(bin+"/csp-sim", "-ready-file", home+"/url", "-token-file", "prod="+home+"/prod")
	if err != nil {
		return nil, err
	}
	_ = sim
	if err := until(func() bool {
		b, err := os.ReadFile(home + "/url")
		w.url = strings.TrimSpace(string(b))
		return err == nil && w.url != ""
	}); err != nil {
		return nil, err
	}
	if w.agent, err = w.start(bin+"/csp-agent", "run"); err != nil {
		return nil, err
	}
	if err := until(func() bool { return w.run(nil, "cspctl", "status") == nil }); err != nil {
		return nil, err
	}
	return w, w.login("prod")
}

// login makes a profile with the one API token that there is.
func (w *world) login(profile string) error {
	b, err := os.ReadFile(w.home + "/prod")
	if err != nil {
		return err
	}
	return w.run(bytes.NewReader(b), "cspctl", "login", profile, "--server", w.url, "--token-file", "-", "--store", "memory")
}

// start starts a program that runs until the world ends.
func (w *world) start(name string, args ...string) (*exec.Cmd, error) {
	c := exec.Command(name, args...)
	c.Env = w.env
	if err := c.Start(); err != nil {
		return nil, err
	}
	w.closers = append(w.closers, func() { _ = c.Process.Kill(); _ = c.Wait() })
	return c, nil
}

// run runs a program in the world to its end.
func (w *world) run(in io.Reader, name string, args ...string) error {
	if found := filepath.Join(w.bin, name); fileExists(found) {
		name = found
	}
	c := exec.Command(name, args...)
	c.Env, c.Stdin = w.env, in
	out, err := c.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

func (w *world) close() {
	for i := len(w.closers) - 1; i >= 0; i-- {
		w.closers[i]()
	}
}

// client is an HTTP client of a Unix socket that keeps its connections.
func client(socket string, conns int) *http.Client {
	return &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: conns,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}, Timeout: time.Minute}
}

func fileExists(path string) bool { _, err := os.Stat(path); return err == nil }

// until waits for something that another process does, ten seconds at most.
func until(ok func() bool) error {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if ok() {
			return nil
		}
	}
	return fmt.Errorf("waited in vain")
}
