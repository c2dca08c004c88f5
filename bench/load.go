package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const tokenURL = "http://agent/v1/token?profile=prod"

// load compares the agent with a bare net/http server on a Unix socket that
// answers the same bytes, under one connection and a hundred.
func load(w *world, requests int) error {
	resp, err := client(w.socket, 1).Get(tokenURL)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %w", resp.Status, err)
	}
	bare := filepath.Join(w.home, "bare.sock")
	if err := w.startBare(bare, resp.Header, body); err != nil {
		return err
	}

	fmt.Printf("\nTokens from the cache over the socket, %d requests of each, in turn with a bare net/http server\n\n", requests)
	fmt.Printf("  %-11s %-14s %10s %9s %9s\n", "connections", "", "requests/s", "p50", "p99")
	for _, conns := range []int{1, 100} {
		var agent, plain result
		const turns = 5
		for range turns {
			if err := agent.add(w.socket, conns, requests/turns); err != nil {
				return err
			}
			if err := plain.add(bare, conns, requests/turns); err != nil {
				return err
			}
		}
		plain.print(conns, "bare net/http")
		agent.print(conns, "csp-agent")
		fmt.Printf("  %-11s %-14s %10.2f %9s %9.2f\n", "", "ratio", agent.rate()/plain.rate(), "",
			float64(quantile(agent.times, 0.99))/float64(quantile(plain.times, 0.99)))
	}
	return nil
}

// startBare starts a process that answers every request on a socket with the
// same bytes, by net/http and nothing else.
func (w *world) startBare(socket string, header http.Header, body []byte) error {
	answer, err := json.Marshal(bareAnswer{header, body})
	if err != nil {
		return err
	}
	if err := os.WriteFile(socket+".json", answer, 0o600); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if _, err := w.start(self, "-bare", socket); err != nil {
		return err
	}
	return until(func() bool { return get(client(socket, 1)) == nil })
}

type bareAnswer struct {
	Header http.Header
	Body   []byte
}

// bareServer is what that process runs.
func bareServer(socket string) error {
	b, err := os.ReadFile(socket + ".json")
	if err != nil {
		return err
	}
	var a bareAnswer
	if err := json.Unmarshal(b, &a); err != nil {
		return err
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for k, v := range a.Header {
			w.Header()[k] = v
		}
		_, _ = w.Write(a.Body)
	})}
	return server.Serve(l)
}

// result is the times of requests, and how long they took together.
type result struct {
	times []time.Duration
	took  time.Duration
}

func (r *result) rate() float64 { return float64(len(r.times)) / r.took.Seconds() }

func (r *result) print(conns int, name string) {
	fmt.Printf("  %-11d %-14s %10.0f %9s %9s\n", conns, name, r.rate(),
		quantile(r.times, 0.5).Round(time.Microsecond), quantile(r.times, 0.99).Round(time.Microsecond))
}

func (r *result) add(socket string, conns, requests int) error {
	c := client(socket, conns)
	defer c.CloseIdleConnections()
	times := make([]time.Duration, requests)
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	began := time.Now()
	for range conns {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= requests {
					return
				}
				began := time.Now()
				if err := get(c); err != nil {
					failed.Store(&err)
					return
				}
				times[i] = time.Since(began)
			}
		})
	}
	wg.Wait()
	r.took += time.Since(began)
	r.times = append(r.times, times...)
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

func get(c *http.Client) error {
	resp, err := c.Get(tokenURL)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s", resp.Status)
	}
	return nil
}

// hung measures requests while the server upstream does not answer and the
// renewal of the token is under way.
func hung(w *world) error {
	if err := w.sim("/_sim/faults", `{"endpoint":"authorize","hang":true}`); err != nil {
		return err
	}
	defer func() {
		_ = w.sim("/_sim/release", "{}")
		req, _ := http.NewRequest(http.MethodDelete, w.url+"/_sim/faults", nil)
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
		}
	}()
	// A fresh token is asked for, so that an exchange hangs in the agent.
	go func() { _, _ = client(w.socket, 1).Get(tokenURL + "&fresh=1") }()
	resp, err := http.Get(w.url + "/_sim/wait?timeout=20s&exchanges=2") // the login's, and this
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	var r result
	if err := r.add(w.socket, 100, 1000); err != nil {
		return err
	}
	fmt.Printf("\n1,000 requests over 100 connections while the server hangs in an exchange\n\n")
	fmt.Printf("  p50 %s, p99 %s, slowest %s\n", quantile(r.times, 0.5).Round(time.Microsecond),
		quantile(r.times, 0.99).Round(time.Microsecond), quantile(r.times, 1).Round(time.Microsecond))
	return nil
}

func (w *world) sim(path, body string) error {
	resp, err := http.Post(w.url+path, "application/json", bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("simulator: %s", resp.Status)
	}
	return nil
}

// memory prints what the agent holds with a hundred profiles, each with a
// token in the cache.
func memory(w *world) error {
	for i := range 100 {
		if err := w.login(fmt.Sprintf("profile-%d", i)); err != nil {
			return err
		}
	}
	b, err := os.ReadFile("/proc/" + strconv.Itoa(w.agent.Process.Pid) + "/status")
	if err != nil {
		return err
	}
	fmt.Printf("\nThe agent with 101 profiles\n\n")
	for line := range strings.Lines(string(b)) {
		for _, name := range []string{"VmRSS:", "VmHWM:", "RssAnon:", "RssFile:", "Threads:"} {
			if strings.HasPrefix(line, name) {
				fmt.Print("  ", line)
			}
		}
	}
	return nil
}
