package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/csp"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
	"github.com/cspctl/cspctl/internal/upstream"
	"github.com/cspctl/cspctl/internal/vcd"
)

// As a child of a test, this binary is csp-sim itself.
func TestMain(m *testing.M) {
	if os.Getenv("CSP_SIM_AS_MAIN") != "" {
		main()
	}
	os.Exit(m.Run())
}

// start runs csp-sim in this process and returns the lines it prints: n after
// the URL. stop ends it and returns its exit code.
func start(t *testing.T, n int, args ...string) (lines []string, stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe()
	var stderr bytes.Buffer // read after the end only
	code := make(chan int, 1)
	go func() {
		c := run(ctx, args, w, &stderr)
		w.Close()
		code <- c
	}()
	stop = func() int {
		cancel()
		c := <-code
		code <- c
		return c
	}
	t.Cleanup(func() { stop() })
	in := bufio.NewScanner(r)
	for range n + 1 {
		if !in.Scan() {
			t.Fatalf("exit code %d: %s", <-code, stderr.String())
		}
		lines = append(lines, in.Text())
	}
	return lines, stop
}

func exchange(t *testing.T, origin, token string, ca []byte) (provider.Token, provider.Details) {
	t.Helper()
	cred := provider.Credential{Binding: provider.Binding{Provider: provider.CSP, Origin: origin}, Secret: secret.New(token), CA: ca}
	c := csp.New(csp.Options{})
	defer c.CloseIdle()
	tok, err := c.Exchange(t.Context(), cred, provider.Request{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := c.Details(t.Context(), cred)
	if err != nil {
		t.Fatal(err)
	}
	return tok, d
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(string(b), "\n")
}

func TestTokensAndTheirLife(t *testing.T) {
	dir := t.TempDir()
	file, ready := filepath.Join(dir, "token"), filepath.Join(dir, "ready")
	lines, stop := start(t, 2, "-life", "90s", "-print-token", "b", "-print-token", "a", "-token-file", "c="+file,
		"-token-file", "a="+file+"-a", "-expires-in", "30d", "-expires-in", "c=36h", "-ready-file", ready)
	origin := lines[0]
	if read(t, ready) != origin || !strings.HasPrefix(origin, "http://127.0.0.1:") {
		t.Errorf("got %q, ready file %q", origin, read(t, ready))
	}
	if lines[2] != read(t, file+"-a") || lines[1] == lines[2] {
		t.Error("a's token differs between stdout and its file, or is b's")
	}
	if info, err := os.Stat(file); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v", info.Mode(), err)
	}
	for token, want := range map[string]time.Duration{lines[1]: 720 * time.Hour, lines[2]: 720 * time.Hour, read(t, file): 36 * time.Hour} {
		tok, d := exchange(t, origin, token, nil)
		if left := time.Until(d.Expiry.At); tok.ExpiresIn != 90*time.Second || left > want || left < want-time.Minute {
			t.Errorf("access token %v, API token %v; want %v", tok.ExpiresIn, left, want)
		}
	}
	if code := stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if _, err := os.Stat(ready); err == nil {
		t.Error("the ready file outlives the server")
	}
	if _, err := http.Get(origin); err == nil {
		t.Error("still serving")
	}
}

func TestAppsAndCloudDirector(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	lines, _ := start(t, 0, "-app", "robot="+file("app"), "-vcd-token", "account="+file("vcd")+",org=Lab,rotation=always",
		"-vcd-user", "jo="+file("user")+",org=System")
	up := upstream.New(upstream.Options{})
	binding := func(name string) provider.Binding { return provider.Binding{Provider: name, Origin: lines[0]} }

	app := provider.Credential{Binding: binding(provider.CSPApp)}
	id, password, _ := strings.Cut(read(t, file("app")), "\n")
	app.ClientID, app.Secret = id, secret.New(password)
	if _, err := csp.App(up).Exchange(t.Context(), app, provider.Request{}); err != nil {
		t.Error(err)
	}
	token := provider.Credential{Binding: binding(provider.VCD), Secret: secret.New(read(t, file("vcd")))}
	token.Org = "Lab"
	if got, err := vcd.APIToken(up).Exchange(t.Context(), token, provider.Request{}); err != nil || got.Replacement.IsZero() {
		t.Errorf("got %+v, %v", got, err)
	}
	user := provider.Credential{Binding: binding(provider.VCDSession), Secret: secret.New(read(t, file("user")))}
	user.Org, user.User = "System", "jo"
	if _, err := vcd.Session(up).Exchange(t.Context(), user, provider.Request{}); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(file("app")); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v", info.Mode(), err)
	}
}

func TestServesTLSWithItsOwnCA(t *testing.T) {
	ca := filepath.Join(t.TempDir(), "ca.pem")
	lines, _ := start(t, 1, "-tls", "-ca-out", ca, "-print-token", "a")
	if !strings.HasPrefix(lines[0], "https://127.0.0.1:") {
		t.Fatalf("got %q", lines[0])
	}
	exchange(t, lines[0], lines[1], []byte(read(t, ca)))
}

func TestHangingRequestDoesNotHoldUpTheEnd(t *testing.T) {
	lines, stop := start(t, 1, "-print-token", "a")
	res, err := http.Post(lines[0]+"/_sim/faults", "application/json", strings.NewReader(`{"hang":true}`))
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("got %v, %v", res, err)
	}
	res.Body.Close()
	done := make(chan error, 1)
	go func() {
		res, err := http.PostForm(lines[0]+"/csp/gateway/am/api/auth/api-tokens/authorize", map[string][]string{"api_token": {lines[1]}})
		if err == nil {
			res.Body.Close()
		}
		done <- err
	}()
	res, err = http.Get(lines[0] + "/_sim/wait?exchanges=1")
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("got %v, %v", res, err)
	}
	res.Body.Close()
	if code := stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if err := <-done; err != nil {
		t.Errorf("the request is cut off: %v", err)
	}
}

func TestWrongUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"-listen", "0.0.0.0:0"}, 2, "-public"},
		{[]string{"-listen", ":0"}, 2, "-public"},
		{[]string{"-listen", "127.0.0.1"}, 2, "-listen"},
		{[]string{"-ca-out", "x"}, 2, "-tls"},
		{[]string{"-life", "10ms"}, 2, "-life"},
		{[]string{"-life", "soon"}, 2, "-life"},
		{[]string{"-token-file", "x"}, 2, "NAME=FILE"},
		{[]string{"-token-file", "a/b=x"}, 2, "name"},
		{[]string{"-expires-in", "ghost=1d"}, 2, "ghost"},
		{[]string{"-app", "x"}, 2, "NAME=FILE"},
		{[]string{"-vcd-token", "x=f,rotation"}, 2, "rotation=VALUE"},
		{[]string{"-vcd-token", "x=f,life=1h"}, 2, "org=VALUE"},
		{[]string{"-vcd-user", "x=f,rotation=always"}, 2, "org=VALUE"},
		{[]string{"-listen", "127.0.0.1:0", "-vcd-token", "x=f,rotation=sometimes"}, 1, "never, always or once"},
		{[]string{"-nonsense"}, 2, "nonsense"},
		{[]string{"argument"}, 2, "argument"},
		{[]string{"-h"}, 0, "-print-token NAME"},
		{[]string{"-listen", "127.0.0.1:0", "-token-file", "a=" + string([]byte{0})}, 1, "error"},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), c.args, &stdout, &stderr); code != c.code || !strings.Contains(stderr.String(), c.want) || stdout.Len() > 0 {
			t.Errorf("%q: exit code %d, stdout %q, stderr %q", c.args, code, stdout.String(), stderr.String())
		}
	}
}
