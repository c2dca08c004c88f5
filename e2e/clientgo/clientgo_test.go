// Package clientgo runs the exec plugin code of client-go, which kubectl and
// controllers use, against the real programs. It is a module of its own, so that
// client-go is none of the product's dependencies.
package clientgo

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	_ "k8s.io/client-go/plugin/pkg/client/auth/exec"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// bin is the folder of the built programs, which the tests of e2e name.
var bin = os.Getenv("CSPCTL_BIN")

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if bin == "" {
		dir, err := os.MkdirTemp("", "bin")
		if err == nil {
			defer os.RemoveAll(dir)
			bin = dir
			var out []byte
			out, err = exec.Command("go", "build", "-C", "../..", "-o", bin, "./cmd/...").CombinedOutput()
			os.Stderr.Write(out)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return m.Run()
}

// apiServer is a Kubernetes API server that takes the tokens of a simulator until
// they expire, or are revoked.
type apiServer struct {
	*httptest.Server
	mu      sync.Mutex
	seen    map[string]bool
	revoked map[string]bool
}

func newAPIServer(t *testing.T) *apiServer {
	s := &apiServer{seen: map[string]bool{}, revoked: map[string]bool{}}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.revoked[token] || !alive(token) {
			http.Error(w, "Unauthorized", http.StatusUnauthorized)
			return
		}
		s.seen[token] = true
		_, _ = io.WriteString(w, `{"major":"1","minor":"32"}`)
	}))
	t.Cleanup(s.Close)
	return s
}

// alive reads the claim exp of a JWT (RFC 7519).
func alive(token string) bool {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return false
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct{ Exp int64 }
	return err == nil && json.Unmarshal(b, &claims) == nil && time.Now().Unix() < claims.Exp
}

// revoke has the server refuse every token that it has taken so far.
func (s *apiServer) revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for token := range s.seen {
		s.revoked[token] = true
	}
}

func (s *apiServer) tokens() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen)
}

// client is what client-go makes of the kubeconfig that cspctl wrote for a
// profile of a simulator whose tokens live for a while.
func client(t *testing.T, s *apiServer, life string) *http.Client {
	t.Helper()
	dir := t.TempDir()
	runtime, err := os.MkdirTemp("", "run") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(runtime) })
	env := []string{"HOME=" + dir, "XDG_RUNTIME_DIR=" + runtime, "PATH=" + bin + ":" + os.Getenv("PATH"), "GORACE=halt_on_error=1"}
	start := func(name string, args ...string) {
		c := exec.Command(filepath.Join(bin, name), args...)
		c.Env, c.Dir = env, dir
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	}
	do := func(args ...string) error {
		c := exec.Command(filepath.Join(bin, "cspctl"), args...)
		c.Env, c.Dir = append(env, "CSPCTL_AUTOSTART=0"), dir
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("cspctl %v: %w: %s", args, err, out)
		}
		return nil
	}
	token, ready := filepath.Join(dir, "prod.token"), filepath.Join(dir, "url")
	start("csp-sim", "-ready-file", ready, "-token-file", "prod="+token, "-life", life)
	start("csp-agent", "run")
	wait(t, func() error {
		url, err := os.ReadFile(ready)
		if err != nil {
			return err
		}
		return do("login", "prod", "--server", strings.TrimSpace(string(url)), "--token-file", token, "--store", "memory")
	})

	config := filepath.Join(dir, "config")
	text := "apiVersion: v1\nkind: Config\ncurrent-context: web\nclusters:\n- name: web\n  cluster: {server: " + s.URL + ", insecure-skip-tls-verify: true}\ncontexts:\n- name: web\n  context: {cluster: web}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := do("kubeconfig", "prod", "--context", "web", "--kubeconfig", config); err != nil {
		t.Fatal(err)
	}
	rc, err := clientcmd.BuildConfigFromFlags("", config)
	if err != nil {
		t.Fatal(err)
	}
	// The plugin gets this process's environment; here it is that of the world.
	rc.ExecProvider.Command = filepath.Join(bin, "cspctl")
	for _, kv := range env {
		name, value, _ := strings.Cut(kv, "=")
		rc.ExecProvider.Env = append(rc.ExecProvider.Env, clientcmdapi.ExecEnvVar{Name: name, Value: value})
	}
	c, err := rest.HTTPClientFor(rc)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func wait(t *testing.T, f func() error) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

func get(t *testing.T, c *http.Client, s *apiServer) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", s.URL+"/version", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// The credential is accepted, and another one is fetched when it expires.
func TestRenewsAfterExpiry(t *testing.T) {
	t.Parallel()
	s := newAPIServer(t)
	c := client(t, s, "6s")
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if status := get(t, c, s); status != http.StatusOK {
			t.Fatalf("%d", status)
		}
	}
	if n := s.tokens(); n < 3 {
		t.Errorf("%d tokens in three lives", n)
	}
}

// client-go runs the plugin again after a 401, for the next request, and does not
// tell it why: it gets another token then.
func TestRecoversAfterA401(t *testing.T) {
	t.Parallel()
	s := newAPIServer(t)
	c := client(t, s, "30m")
	if status := get(t, c, s); status != http.StatusOK {
		t.Fatalf("%d", status)
	}
	time.Sleep(61 * time.Second) // there is one exchange a minute at most
	s.revoke()
	if status := get(t, c, s); status != http.StatusUnauthorized {
		t.Fatalf("%d of a token that was revoked", status)
	}
	if status := get(t, c, s); status != http.StatusOK {
		t.Errorf("%d after the 401", status)
	}
	if n := s.tokens(); n != 2 {
		t.Errorf("%d tokens", n)
	}
}
