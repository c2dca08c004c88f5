//go:build unix

package e2e_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// newTestWorld is a world with a simulator, an agent, and the profile prod,
// whose first exchange has not been made.
func newTestWorld(t *testing.T, simFlags ...string) *world {
	t.Helper()
	w := served(t, []string{"prod"}, simFlags)
	if out, err := w.login("prod", "prod.token", "--store", "memory", "--no-verify"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return w
}

// cspctl makes a command in the world.
func (w *world) cspctl(args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(bin, "cspctl"), args...)
	c.Env = w.env
	return c
}

func (w *world) login(profile, tokenFile string, args ...string) (string, error) {
	f, err := os.Open(filepath.Join(w.dir, tokenFile))
	if err != nil {
		return "", err
	}
	defer f.Close()
	c := w.cspctl(append([]string{"login", profile, "--server", w.url, "--token-file", "-"}, args...)...)
	c.Stdin = f
	out, err := c.CombinedOutput()
	return string(out), err
}

// socketClient is an HTTP client of the agent's socket with a connection for
// each request, as processes have.
func (w *world) socketClient(t *testing.T) *http.Client {
	t.Helper()
	out, err := w.cspctl("socket").Output()
	if err != nil {
		t.Fatal(err)
	}
	socket := strings.TrimSpace(string(out))
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}}
}

// reply is what a token request answers.
type reply struct {
	Token     string    `json:"access_token"`
	ExpiresAt time.Time `json:"expires_at"`
	Code      string    `json:"code"`
}

func ask(c *http.Client, query string) (reply, error) {
	var r reply
	resp, err := c.Get("http://agent/v1/token?" + query)
	if err != nil {
		return r, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(b, &r)
}

// floor is the default floor of tokens of 1799 s.
const floor = 5 * time.Minute

func TestP5ThousandProcessesAndTenThousandRequestsOneExchange(t *testing.T) {
	w := newTestWorld(t)
	c := w.socketClient(t)
	var wg sync.WaitGroup
	var first sync.Map
	var good atomic.Int64

	// A thousand requests at a time, ten times over.
	requests := make(chan struct{})
	for range 1000 {
		wg.Go(func() {
			for range requests {
				r, err := ask(c, "profile=prod")
				if err != nil || r.Token == "" || time.Until(r.ExpiresAt) < floor {
					t.Errorf("%+v, %v", r, err)
					continue
				}
				first.Store(r.Token, true)
				good.Add(1)
			}
		})
	}
	// And a thousand processes, as many at a time as a shell would start.
	processes := make(chan struct{})
	for range 50 {
		wg.Go(func() {
			for range processes {
				out, err := w.cspctl("token", "prod").Output()
				token := strings.TrimSuffix(string(out), "\n")
				if err != nil || strings.Count(token, ".") != 2 || strings.ContainsAny(token, "\n ") {
					t.Errorf("%q, %v", out, err)
					continue
				}
				first.Store(token, true)
				good.Add(1)
			}
		})
	}
	wg.Go(func() {
		for range 10000 {
			requests <- struct{}{}
		}
		close(requests)
	})
	wg.Go(func() {
		for range 1000 {
			processes <- struct{}{}
		}
		close(processes)
	})
	wg.Wait()

	if good.Load() != 11000 {
		t.Errorf("%d of 11000 got a token", good.Load())
	}
	if n, err := w.exchanges(); err != nil || n != 1 {
		t.Errorf("%d exchanges, %v", n, err)
	}
	tokens := 0
	first.Range(func(any, any) bool { tokens++; return true })
	if tokens != 1 {
		t.Errorf("%d different tokens", tokens)
	}
}

// The order of events shows that nobody waited for the server: its exchange
// arrived before the requests, and was let go after the last was answered.
func TestP4ServerHungWithAGoodToken(t *testing.T) {
	for _, c := range []struct {
		name string
		life string
		wait bool // until the token is between the floor and twice the floor
	}{
		{"a token of half an hour", "1799s", false},
		// A token of 24 s has a floor of 8 s, and is renewed from 12 s on.
		{"a token between the floor and twice the floor", "24s", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newTestWorld(t, "-life", c.life)
			client := w.socketClient(t)
			before, err := ask(client, "profile=prod")
			if err != nil || before.Token == "" {
				t.Fatalf("%+v, %v", before, err)
			}
			if err := w.control("POST", "faults", `{"endpoint":"authorize","hang":true}`, nil); err != nil {
				t.Fatal(err)
			}
			fresh := make(chan error, 1)
			if c.wait {
				fresh <- nil // the renewal ahead comes by itself
			} else {
				go func() {
					_, err := ask(client, "profile=prod&fresh=1")
					fresh <- err
				}()
			}
			if err := w.control("GET", "wait?exchanges=2&timeout=30s", "", nil); err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			for range 1000 {
				wg.Go(func() {
					r, err := ask(client, "profile=prod")
					if err != nil || r.Token != before.Token || time.Until(r.ExpiresAt) <= 0 {
						t.Errorf("%+v, %v", r, err)
					}
				})
			}
			wg.Wait()
			if n, err := w.exchanges(); err != nil || n != 2 {
				t.Errorf("%d exchanges, %v", n, err)
			}
			if err := w.control("DELETE", "faults", "", nil); err != nil {
				t.Fatal(err)
			}
			if err := w.control("POST", "release", "", nil); err != nil {
				t.Fatal(err)
			}
			if err := <-fresh; err != nil {
				t.Error(err)
			}
		})
	}
}
