package e2e_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// P1, P8: an agent that is made to crash, with everything set for a core dump
// and the longest of Go's tracebacks, leaves neither core nor secret: not in
// what it says (which goes to the journal), nor in any file. The next cspctl
// token works.
func TestP1P8ForcedCrashLeavesNothing(t *testing.T) {
	w := worldFor(t)
	if err := w.startSim([]string{"prod", "lab"}, nil); err != nil {
		t.Fatal(err)
	}
	key := storeKey(t, w.dir)
	w.env = append(w.env, "CSP_AGENT_STORE_KEY_FILE="+key)
	secrets := map[string][]byte{}
	keep := func(name string, text []byte) { secrets[name] = bytes.TrimSpace(text) }
	for _, name := range []string{"prod.token", "lab.token", "store.key"} {
		b, err := os.ReadFile(filepath.Join(w.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		keep(name, b)
	}

	// What the same signals leave of a process that is closed to nobody.
	if n := coresOf(t, exec.Command(attacker(t)), envVictim+"=1"); n == 0 {
		t.Log("cores prove nothing here: an open process leaves none, either (core_pattern, or a hard limit)")
	}

	dir := filepath.Join(w.dir, "cwd")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, sig := range []syscall.Signal{syscall.SIGSEGV, syscall.SIGABRT, syscall.SIGQUIT, syscall.SIGTRAP} {
		t.Run(sig.String(), func(t *testing.T) {
			if w.runs() { // the one that the last cspctl started
				end(t, w.pid(t), syscall.SIGTERM)
			}
			log, err := os.Create(filepath.Join(w.dir, "crash.log"))
			if err != nil {
				t.Fatal(err)
			}
			defer log.Close()
			c := exec.Command("bash", "-c", "ulimit -c unlimited || ulimit -S -c hard; exec "+filepath.Join(bin, "csp-agent")+" run")
			c.Env, c.Dir, c.Stdout, c.Stderr = append(w.env, "GOTRACEBACK=crash"), dir, log, log
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			p := &process{Cmd: c, ended: make(chan struct{})}
			go func() { _ = c.Wait(); close(p.ended) }()
			defer p.stop(syscall.SIGKILL)
			if err := within(20*time.Second, func() error { return w.cspctl("status").Run() }); err != nil {
				t.Fatal(err)
			}
			for profile, store := range map[string]string{"prod": "memory", "lab": "file"} {
				if out, err := w.login(profile, profile+".token", "--store", store); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				out, err := w.cspctl("token", profile).Output()
				if err != nil {
					t.Fatal(err)
				}
				keep("the access token of "+profile, out)
			}

			p.stop(sig)
			if c.ProcessState.Success() {
				t.Fatalf("the agent ended well: %s", c.ProcessState)
			}
			said, err := os.ReadFile(log.Name())
			if err != nil || !bytes.Contains(said, []byte("goroutine ")) {
				t.Errorf("no traceback: %v: %.500s", err, said)
			}
			for name, s := range secrets {
				if what := remains(said, s); what != "" {
					t.Errorf("the traceback shows %s of %s", what, name)
				}
			}
			left, err := os.ReadDir(dir)
			if err != nil || len(left) > 0 {
				t.Errorf("left in the working directory: %v, %v", left, err)
			}
			w.searched(t, secrets)
			if out, err := w.cspctl("token", "lab").Output(); err != nil || !bytes.HasPrefix(out, []byte("eyJ")) {
				t.Errorf("the next cspctl token: %v: %.20s", err, out)
			}
		})
	}
}

// coresOf crashes a process that waits for its stdin to end, and returns how
// many files it leaves in its working directory.
func coresOf(t *testing.T, c *exec.Cmd, env string) int {
	t.Helper()
	dir := t.TempDir()
	c = exec.Command("bash", "-c", "ulimit -c unlimited || ulimit -S -c hard; exec "+c.Path)
	c.Env, c.Dir = []string{env, "GOTRACEBACK=crash"}, dir
	stdin, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := stdout.Read(make([]byte, 64)); err != nil {
		t.Fatal(err)
	}
	_ = c.Process.Signal(syscall.SIGABRT)
	_ = c.Wait()
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(left)
}

// remains says what of a secret is in b: a piece of its text, or, as Go's
// tracebacks show arguments and registers, eight of its bytes as a number.
func remains(b, secret []byte) string {
	for i := 0; i+12 <= len(secret); i++ {
		if bytes.HasPrefix(secret, []byte("eyJ")) && i < 100 {
			continue // the header of a JWT, and how its claims begin, are no secret
		}
		if bytes.Contains(b, secret[i:i+12]) {
			return "a piece"
		}
		if bytes.Contains(b, fmt.Appendf(nil, "%x", binary.LittleEndian.Uint64(secret[i:]))) {
			return "a word"
		}
	}
	return ""
}

// searched looks for the secrets in every file of the world but those that
// hold them.
func (w *world) searched(t *testing.T, secrets map[string][]byte) {
	t.Helper()
	err := filepath.WalkDir(w.dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.HasSuffix(p, ".token") || filepath.Base(p) == "store.key" {
			return err
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		for name, s := range secrets {
			if bytes.Contains(b, s[len(s)-12:]) {
				t.Errorf("%s holds %s", p, name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// pid is that of the agent that answers.
func (w *world) pid(t *testing.T) int {
	t.Helper()
	out, err := w.cspctl("status", "-o", "json").Output()
	var st struct{ PID int }
	if err != nil || json.Unmarshal(out, &st) != nil || st.PID == 0 {
		t.Fatalf("the agent's pid: %v: %s", err, out)
	}
	return st.PID
}

func (w *world) runs() bool { return w.cspctl("status").Run() == nil }

// end signals a process that is nobody's child, and waits for its end.
func end(t *testing.T, pid int, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, sig); err != nil {
		t.Fatal(err)
	}
	err := within(15*time.Second, func() error {
		// One that init has not waited for yet is dead all the same.
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if _, state, ok := bytes.Cut(b, []byte(") ")); err == nil && ok && state[0] != 'Z' {
			return fmt.Errorf("pid %d does not end", pid)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
