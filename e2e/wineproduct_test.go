//go:build unix

package e2e_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// accessToken is a JWT and a newline, and nothing else.
var accessToken = regexp.MustCompile(`^eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\n$`)

// windowsProduct logs in and asks for tokens, across the end of agents.
func windowsProduct(t *testing.T, w *windows) {
	cspctl := func(args ...string) ran { t.Helper(); return w.run(t, filepath.Join(w.dir, "cspctl.exe"), args...) }
	server := worldFor(t)
	if err := server.startSim([]string{"prod"}, nil); err != nil {
		t.Fatal(err)
	}
	exchanges := func(want int) {
		t.Helper()
		if n, err := server.exchanges(); err != nil || n != want {
			t.Errorf("%d exchanges, want %d (%v)", n, want, err)
		}
	}
	secret, err := os.ReadFile(filepath.Join(server.dir, "prod.token"))
	if err != nil || len(strings.TrimSpace(string(secret))) < 32 {
		t.Fatalf("the API token: %d bytes, %v", len(secret), err)
	}

	// Nobody listens, and nobody is to be started.
	w.env = append(w.env, "CSPCTL_AUTOSTART=0")
	cspctl("token").want(t, 6, "no agent answers")
	w.env = w.env[:len(w.env)-1]

	// An agent that was started by hand.
	log, err := os.Create(filepath.Join(w.dir, "agent.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	agent := w.command(t.Context(), "wine", filepath.Join(w.dir, "csp-agent.exe"), "run")
	agent.Stdout, agent.Stderr = log, log
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = agent.Process.Kill(); _ = agent.Wait() }()
	if err := within(20*time.Second, func() error {
		b, err := os.ReadFile(log.Name())
		if err == nil && !strings.Contains(string(b), "msg=serving") {
			err = fs.ErrNotExist
		}
		return err
	}); err != nil {
		t.Fatal("the agent does not serve")
	}
	cspctl("login", "prod", "--server", server.url, "--token-file", inWine(filepath.Join(server.dir, "prod.token")), "--store", "keychain").
		want(t, 0, "logged in to profile prod")
	first := cspctl("token", "prod").want(t, 0, "").stdout
	if !accessToken.MatchString(first) {
		t.Errorf("stdout %q", first)
	}
	if again := cspctl("token").want(t, 0, "").stdout; again != first {
		t.Error("the token is not the cached one")
	}
	exchanges(1)
	if out := cspctl("status").want(t, 0, "").stdout; !strings.Contains(out, "keychain: ready, the Windows Credential Manager") {
		t.Errorf("status %q", out)
	}
	cspctl("token", "nope").want(t, 3, "there is no profile nope")

	// Nobody is there to be asked.
	cspctl("login", "other", "--server", server.url).want(t, 2, "hint: add --token-file FILE")

	// A pipe has one agent.
	w.run(t, filepath.Join(w.dir, "csp-agent.exe"), "run").want(t, 17, "an agent is running already")

	// The next agent is started by cspctl, and finds the secret.
	if err := agent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = agent.Wait()
	second := cspctl("token", "prod")
	for end := time.Now().Add(time.Minute); second.code == 6 && strings.Contains(second.stderr, "does not answer") && time.Now().Before(end); {
		second = cspctl("token", "prod") // it waits for two seconds, and a busy wine takes longer
	}
	if second.want(t, 0, ""); !accessToken.MatchString(second.stdout) || second.stdout == first {
		t.Errorf("after a restart: %q", second.stdout)
	}
	exchanges(2)
	var status struct{ PID int }
	if out := cspctl("status", "-o", "json").want(t, 0, "").stdout; json.Unmarshal([]byte(out), &status) != nil || status.PID == 0 {
		t.Errorf("status %q", out)
	}
	windowsLeaks(t, w, strings.TrimSpace(string(secret)))

	// A stand-in's endpoint with https: its CA is in a file behind those of Windows,
	// which is gone afterwards.
	run := cspctl("exec", "--env", "CA=ca-file", "--env", "ENDPOINT=url", "--", "cmd", "/c", `echo %ENDPOINT%& echo %CA%& type %CA%`)
	run.want(t, 0, "")
	const begin = "-----BEGIN CERTIFICATE-----"
	if n := strings.Count(run.stdout, begin); n < 2 || !strings.HasPrefix(run.stdout, "https://127.0.0.1:") {
		t.Errorf("%d certificates in %.200q", n, run.stdout)
	}
	_, windowsPath, _ := strings.Cut(run.stdout, "\n")
	windowsPath, _, _ = strings.Cut(windowsPath, "\r\n")
	path, ok := strings.CutPrefix(windowsPath, `C:\`)
	dir := filepath.Join(w.dir, "prefix", "drive_c", filepath.Dir(strings.ReplaceAll(path, `\`, "/")))
	files, err := os.ReadDir(dir)
	if !ok || err != nil {
		t.Fatalf("the folder of %q: %v", windowsPath, err)
	}
	for _, f := range files {
		if strings.HasPrefix(f.Name(), "cspctl-ca-") {
			t.Errorf("%s is left", f.Name())
		}
	}

	cspctl("logout", "prod").want(t, 0, "")
	cspctl("token", "prod").want(t, 3, "no secret stored")
	exchanges(2)
}

// windowsLeaks checks that no file has the API token in plain text. wine's
// Credential Manager keeps items in the registry, obfuscated with a key that
// lies beside them: the one of Windows encrypts them with the user's password.
func windowsLeaks(t *testing.T, w *windows, secret string) {
	t.Helper()
	searched := 0
	err := filepath.WalkDir(w.dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		// wine's own programs are 690 MB.
		if strings.Contains(p, "/drive_c/windows/") {
			return nil
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		searched++
		for _, text := range []string{secret[:12], secret[len(secret)-12:]} {
			if strings.Contains(string(b), text) || strings.Contains(string(b), wide(text)) {
				t.Errorf("%s holds the API token", p)
			}
		}
		return nil
	})
	if err != nil || searched < 10 {
		t.Errorf("%d files were searched: %v", searched, err)
	}
}

// wide is ASCII as UTF-16, as Windows keeps it.
func wide(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteByte(s[i])
		b.WriteByte(0)
	}
	return b.String()
}
