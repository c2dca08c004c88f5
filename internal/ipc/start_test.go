//go:build linux || darwin

package ipc_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
)

// stage is a home and a PATH on which a played csp-agent can be found.
type stage struct {
	dir  string // traces and everything else
	path string // of the user's own socket
}

// setStage sets the environment of this process, which a started agent
// inherits in part. play says what the agent does.
func setStage(t *testing.T, play string) stage {
	t.Helper()
	dir := folder(t)
	s := stage{dir, filepath.Join(dir, "run", "csp-agent", "agent.sock")}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"bin", "run"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(exe, filepath.Join(dir, "bin", "csp-agent")); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"HOME": dir, "XDG_RUNTIME_DIR": filepath.Join(dir, "run"), "XDG_STATE_HOME": "", "XDG_CONFIG_HOME": "",
		"PATH": filepath.Join(dir, "bin") + ":/usr/bin:/bin", ipc.EnvSocket: "", ipc.EnvUID: "", ipc.EnvAutostart: "",
		playEnv: play, dirEnv: dir,
	} {
		t.Setenv(name, value)
	}
	ipc.MoveSystemDir(t, filepath.Join(dir, "sys"))
	t.Cleanup(func() { // played agents see it, and end
		if err := os.WriteFile(filepath.Join(dir, "stop"), nil, 0o600); err != nil {
			t.Error(err)
		}
		for range 100 {
			if _, err := net.Dial("unix", s.path); err != nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
		t.Error("the played agent does not end")
	})
	return s
}

// starts returns the pids of the agents that were started.
func (s stage) starts(t *testing.T) []int {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(s.dir, "start.*"))
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, name := range names {
		pid, err := strconv.Atoi(strings.TrimPrefix(filepath.Ext(name), "."))
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

// P8, T24: twenty programs ask at once where no agent runs: one is started,
// and all of them are served.
func TestT24OneStartForAll(t *testing.T) {
	s := setStage(t, "agent")
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if out, err := self(t, "client").Output(); err != nil || string(out) != fakeToken+"\n" {
				t.Errorf("got %q, %v", out, err)
			}
		})
	}
	all.Wait()
	if pids := s.starts(t); len(pids) != 1 {
		t.Errorf("%d agents were started", len(pids))
	}
	if b, err := os.ReadFile(filepath.Join(s.dir, "start."+strconv.Itoa(s.starts(t)[0]))); err != nil || string(b) != "run\n" {
		t.Errorf("its arguments were %q, %v", b, err)
	}
	if info, err := os.Stat(filepath.Dir(s.path)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the socket's folder: %v, %v", info, err)
	}
}

// T29: what is started holds nothing of its starter: a $(...) around it ends,
// also where the shell gave it further descriptors.
func TestT29StarterIsNotHeld(t *testing.T) {
	s := setStage(t, "agent")
	cmd := self(t, "client")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.ExtraFiles = []*os.File{w, w}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = nil
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	// Both ends come only when nobody holds the pipes any more.
	for name, f := range map[string]interface {
		Read([]byte) (int, error)
		SetReadDeadline(time.Time) error
	}{"stdout": out.(*os.File), "descriptor 3": r} {
		if err := f.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 100)
		for err = nil; err == nil; _, err = f.Read(b) {
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s is held", name)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if len(s.starts(t)) != 1 {
		t.Error("no agent was started")
	}
}

func TestNoStart(t *testing.T) {
	for name, c := range map[string]struct {
		o    ipc.Options
		vars []string
		want string
	}{
		"an option forbids it":    {o: ipc.Options{NoStart: true}, want: "no agent answers"},
		"the environment forbids": {vars: []string{ipc.EnvAutostart, "0"}, want: "no agent answers"},
		"another user is meant":   {vars: []string{ipc.EnvUID, "12345"}, want: "no agent answers"},
		"there is no agent":       {vars: []string{"PATH", "/nonexistent:.:"}, want: "no csp-agent was found"},
		"no home":                 {vars: []string{"HOME", ""}, want: "HOME is not set"},
		"the folder is open":      {vars: []string{ipc.EnvSocket, openFolder(t) + "/agent.sock"}, want: "not yours alone"},
	} {
		t.Run(name, func(t *testing.T) {
			s := setStage(t, "agent")
			for i := 0; i < len(c.vars); i += 2 {
				t.Setenv(c.vars[i], c.vars[i+1])
			}
			_, err := ipc.Open(c.o).Token(ipc.TokenRequest{})
			wantAgentError(t, err, c.want)
			if n := len(s.starts(t)); n != 0 {
				t.Errorf("%d agents were started", n)
			}
		})
	}
}

// With sudo, HOME or the runtime directory may be somebody else's: an agent of
// root's would lock its owner out.
func TestNoStartInSomebodyElsesHome(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to give a folder away")
	}
	for _, name := range []string{"HOME", "XDG_RUNTIME_DIR"} {
		s := setStage(t, "agent")
		foreign := folder(t)
		if err := os.Chown(foreign, nobody, nobody); err != nil {
			t.Fatal(err)
		}
		t.Setenv(name, foreign)
		_, err := ipc.Open(ipc.Options{}).Token(ipc.TokenRequest{})
		wantAgentError(t, err, name+" belongs to another user")
		if entries, err := os.ReadDir(foreign); err != nil || len(entries) != 0 || len(s.starts(t)) != 0 {
			t.Errorf("%s: left %v, %v", name, entries, err)
		}
	}
}

func TestAgentThatDoesNotComeUp(t *testing.T) {
	for play, want := range map[string]string{
		"agent that dies":  "csp-agent ended at once (exit status 3)",
		"agent that hangs": "does not answer",
	} {
		s := setStage(t, play)
		begin := time.Now()
		_, err := ipc.Open(ipc.Options{}).Token(ipc.TokenRequest{})
		wantAgentError(t, err, want)
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("%s: it took %v", play, took)
		}
		if n := len(s.starts(t)); n != 1 {
			t.Errorf("%s: %d were started", play, n)
		}
	}
}

func TestKeptEnv(t *testing.T) {
	got := ipc.KeptEnv([]string{
		"HOME=/h", "PATH=/bin", "LC_ALL=C", "XDG_RUNTIME_DIR=/r", "CSP_AGENT_SOCK=/s", "https_proxy=http://p", "HTTPS_PROXY=x", "SSL_CERT_FILE=/c",
		"AWS_SECRET_ACCESS_KEY=x", "CSP_AUTH=x", "CSP_API_TOKEN=x", "LD_PRELOAD=/x", "BASH_ENV=/x", "GODEBUG=x", "HOMEX=x", "CSPCTL_PROFILE=x", "SSH_AUTH_SOCK=/a", "=x", "",
		"SSL_CERT_FILE=/proc/1/fd/3", // of cspctl exec, in whose shell the agent is started
	})
	want := []string{"HOME=/h", "PATH=/bin", "LC_ALL=C", "XDG_RUNTIME_DIR=/r", "CSP_AGENT_SOCK=/s", "https_proxy=http://p", "HTTPS_PROXY=x", "SSL_CERT_FILE=/c"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestFindAgent(t *testing.T) {
	dir := folder(t)
	put := func(name string, mode os.FileMode) {
		t.Helper()
		path := filepath.Join(dir, name, "csp-agent")
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, nil, mode)); err != nil {
			t.Fatal(err)
		}
	}
	put("plain", 0o600)
	put("good", 0o700)
	put("later", 0o700)
	if err := os.MkdirAll(filepath.Join(dir, "folder", "csp-agent"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Join(dir, "later"))
	paths := []string{"", ".", dir + "/plain", dir + "/folder", dir + "/none", dir + "/good", dir + "/later"}
	if got := ipc.FindAgent(env("PATH", strings.Join(paths, ":"))); got != dir+"/good/csp-agent" {
		t.Errorf("got %q", got)
	}
	if got := ipc.FindAgent(env("PATH", ":.")); got != "" {
		t.Errorf("got %q, from a relative entry", got)
	}
}
