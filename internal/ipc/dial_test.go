//go:build linux || darwin

package ipc_test

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cspctl/cspctl/internal/ipc"
)

// eavesdrop runs a listener of another user at path. The function it returns
// gives the last thing that the listener says.
func eavesdrop(t *testing.T, path string) (last func() string) {
	t.Helper()
	cmd := self(t, "eavesdropper", path)
	asNobody(t, cmd)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	if line, err := lines.ReadString('\n'); err != nil || line != "listening\n" {
		t.Fatalf("the helper said %q, %v", line, err)
	}
	return func() string {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Error(err)
		}
		_ = cmd.Wait()
		return strings.TrimSpace(line)
	}
}

// openFolder returns a folder in which another user can listen.
func openFolder(t *testing.T) string {
	t.Helper()
	dir := folder(t)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

// T27: a socket on which another user listens gets not a single byte, unless
// CSP_AGENT_UID names that user.
func TestT27AnotherUsersListener(t *testing.T) {
	path := filepath.Join(openFolder(t), "agent.sock")
	put := func(pairs ...string) error {
		c := ipc.Open(ipc.Options{Getenv: env(append(pairs, ipc.EnvSocket, path)...)})
		return c.Call("PUT", "/v1/profiles/x", ipc.LoginRequest{}, nil)
	}
	last := eavesdrop(t, path)
	wantAgentError(t, put(), "another user (uid 65534) listens at "+path)
	if said := last(); said != "bytes: 0" {
		t.Errorf("the other user got %s", said)
	}
	last = eavesdrop(t, path)
	wantAgentError(t, put(ipc.EnvUID, "12345"), "another user")
	if said := last(); said != "bytes: 0" {
		t.Errorf("the other user got %s", said)
	}
	last = eavesdrop(t, path)
	wantAgentError(t, put(ipc.EnvUID, "nobody"), "not a numeric uid")
	if said := last(); said != "bytes: 0" {
		t.Errorf("the other user got %s", said)
	}
	last = eavesdrop(t, path)
	if err := put(ipc.EnvUID, "65534"); err != nil {
		t.Errorf("in spite of %s: %v", ipc.EnvUID, err)
	}
	if said := last(); !strings.HasPrefix(said, "bytes: ") || said == "bytes: 0" {
		t.Errorf("the user that is meant got %s", said)
	}
}

// The system service's sockets may be its user's, who owns their folder.
func TestSystemServiceMayRunAsItsOwnUser(t *testing.T) {
	dir := openFolder(t)
	path := filepath.Join(dir, "token.sock")
	get := func() error { return on(path).Call("GET", "/", nil, nil) }
	ipc.MoveSystemDir(t, dir)

	last := eavesdrop(t, path)
	wantAgentError(t, get(), "another user")
	_ = last()

	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	last = eavesdrop(t, path)
	if err := get(); err != nil {
		t.Errorf("the owner of the folder: %v", err)
	}
	_ = last()

	// Only in that very folder.
	ipc.MoveSystemDir(t, filepath.Join(dir, "elsewhere"))
	last = eavesdrop(t, path)
	wantAgentError(t, get(), "another user")
	_ = last()
}

func TestNoPermission(t *testing.T) {
	dir := openFolder(t)
	path := filepath.Join(dir, "agent.sock")
	serve(t, filepath.Join(dir, "d", "agent.sock"), tokenHandler)
	if err := os.Rename(filepath.Join(dir, "d", "agent.sock"), path); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	cmd := self(t, "client")
	asNobody(t, cmd)
	cmd.Env = append(cmd.Env, ipc.EnvSocket+"="+path)
	if out, err := cmd.Output(); err == nil || !strings.Contains(string(out), "no permission to use the socket "+path) {
		t.Errorf("got %q, %v", out, err)
	}
}

// The order: the user's own agent if it holds profiles, else the system's, else
// the user's own, which is started.
func TestWhichAgent(t *testing.T) {
	handler := func(name string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(ipc.HeaderProfile, name)
			w.Header().Set("Content-Length", "0")
			_, _ = io.WriteString(w, "")
		}
	}
	for name, c := range map[string]struct {
		own, holds, system, explicit bool
		ownOnly                      bool // asked for by the caller
		method                       string
		want                         string // "" for nobody
	}{
		"own":                           {own: true, want: "own"},
		"system before an empty one":    {own: true, system: true, want: "system"},
		"system":                        {system: true, want: "system"},
		"own with profiles is started":  {holds: true, system: true, want: ""},
		"own with profiles answers":     {own: true, holds: true, system: true, want: "own"},
		"none":                          {want: ""},
		"the variable wins":             {own: true, system: true, explicit: true, want: "explicit"},
		"a question before a login":     {system: true, ownOnly: true, want: ""},
		"such a question to one's own":  {own: true, system: true, ownOnly: true, want: "own"},
		"such a question, the variable": {system: true, explicit: true, ownOnly: true, want: "explicit"},
		"login avoids the system's":     {system: true, method: "PUT", want: ""},
		"login goes to one's own":       {own: true, system: true, method: "PUT", want: "own"},
		"login where the variable says": {explicit: true, system: true, method: "PUT", want: "explicit"},
	} {
		t.Run(name, func(t *testing.T) {
			home := folder(t)
			vars := []string{"HOME", home, "XDG_RUNTIME_DIR", home, "XDG_STATE_HOME", filepath.Join(home, "state")}
			ipc.MoveSystemDir(t, filepath.Join(home, "sys"))
			paths := map[string]string{
				"own": filepath.Join(home, "csp-agent", "agent.sock"), "system": filepath.Join(home, "sys", "token.sock"),
				"explicit": filepath.Join(home, "x", "x.sock"),
			}
			if c.own {
				serve(t, paths["own"], handler("own"))
			}
			if c.system {
				serve(t, paths["system"], handler("system"))
			}
			if c.explicit {
				serve(t, paths["explicit"], handler("explicit"))
				vars = append(vars, ipc.EnvSocket, paths["explicit"])
			}
			if c.holds {
				state := filepath.Join(home, "state", "cspctl")
				if err := os.MkdirAll(state, 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(state, "state.json"), []byte("{}"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			client := ipc.Open(ipc.Options{NoStart: true, OwnOnly: c.ownOnly, Getenv: env(vars...)})
			method := c.method
			if method == "" {
				method = "GET"
			}
			if c.method == "" && !c.ownOnly {
				wantPath := paths[c.want]
				if c.want == "" {
					wantPath = paths["own"]
				}
				if got, err := client.SocketPath(); err != nil || got != wantPath {
					t.Errorf("SocketPath: got %q, %v, want %q", got, err, wantPath)
				}
			}
			for range 2 { // the second call goes to the same agent
				reply, err := client.Do(ipc.Request{Method: method, Path: "/v1/profiles/x"})
				switch {
				case c.want == "":
					wantAgentError(t, err, "no agent answers at "+paths["own"])
				case err != nil || reply.Header(ipc.HeaderProfile) != c.want:
					t.Errorf("got %+v, %v, want %s", reply, err, c.want)
				}
			}
			if c.want == "system" && !c.own {
				_, err := client.Do(ipc.Request{Method: "PUT", Path: "/v1/profiles/x"})
				wantAgentError(t, err, "no agent answers at "+paths["own"])
			}
		})
	}
}
