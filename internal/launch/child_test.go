//go:build linux || darwin

package launch_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/launch"
)

// child is a launcher of an agent that was started by hand.
func child() *launch.Launcher {
	return launch.Hurry(launch.New(launch.Options{Getenv: func(string) string { return "" }, Umask: 0o022}))
}

func write(t *testing.T, mode os.FileMode, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hook")
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestChildOutcomes(t *testing.T) {
	plain := write(t, 0o644, "no program")
	format := write(t, 0o755, "\x00\x01\x02")
	interpreter := write(t, 0o755, "#!/nonexistent/sh\n")
	dir := t.TempDir()
	for _, c := range []struct {
		name  string
		limit time.Duration
		argv  []string
		want  string
	}{
		{"done", 20 * time.Second, []string{"/bin/sh", "-c", "cat >/dev/null"}, "done"},
		{"exit 3", 20 * time.Second, []string{"/bin/sh", "-c", `printf '\n first \033[31m line\nsecond\n' >&2; exit 3`}, `exited, status 3, signal "": /bin/sh failed with exit status 3: first ?[31m line`},
		{"exit 127", 20 * time.Second, []string{"/bin/sh", "-c", "exit 127"}, `exited, status 127, signal "": /bin/sh failed with exit status 127`},
		{"a signal", 20 * time.Second, []string{"/bin/sh", "-c", "kill -KILL $$"}, `killed, status -1, signal "SIGKILL": /bin/sh was killed by SIGKILL`},
		{"its whole group", 20 * time.Second, []string{"/bin/sh", "-c", "kill -TERM 0; sleep 9"}, `killed, status -1, signal "SIGTERM": /bin/sh was killed by SIGTERM`},
		{"not there", 20 * time.Second, []string{"/nonexistent/hook"}, `not found, status 0, signal "": /nonexistent/hook was not found`},
		{"no mode", 20 * time.Second, []string{plain}, `not executable, status 0, signal "": ` + plain + ` can't be executed: check its mode and its first line: permission denied`},
		{"no format", 20 * time.Second, []string{format}, `not executable, status 0, signal "": ` + format + ` can't be executed: check its mode and its first line: exec format error`},
		{"no interpreter", 20 * time.Second, []string{interpreter}, `not found, status 0, signal "": ` + interpreter + ` was not found: the file is there, but not the interpreter that its first line names`},
		{"a directory", 20 * time.Second, []string{dir}, `not executable, status 0, signal "": ` + dir + ` can't be executed: check its mode and its first line: it is a directory`},
		{"too long", 300 * time.Millisecond, []string{"/bin/sleep", "60"}, `timed out, status 0, signal "": /bin/sleep took too long, and was ended`},
		{"relative", 20 * time.Second, []string{"sleep"}, `not found, status 0, signal "": sleep was not found: its path must be absolute`},
		{"nothing", 20 * time.Second, nil, `not found, status 0, signal "":  was not found: its path must be absolute`},
		{"no limit", 0, []string{"/bin/true"}, `not started, status 0, signal "": /bin/true could not be started: it has no time limit`},
		{"a NUL", 20 * time.Second, []string{"/bin/sh", "a\x00b"}, `not started, status 0, signal "": /bin/sh could not be started: an argument contains a NUL byte`},
	} {
		t.Run(c.name, func(t *testing.T) {
			begin := time.Now()
			err := child().Run(t.Context(), launch.Command{Argv: c.argv, Stdin: []byte("{}\n"), Timeout: c.limit})
			if got := describe(err); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if d := time.Since(begin); d > 10*time.Second {
				t.Errorf("it took %v", d)
			}
		})
	}
}

// A program finds nothing of the agent's, whatever the agent was started with.
func TestChildSharesNothing(t *testing.T) {
	before := syscall.Umask(0o077)
	defer syscall.Umask(before)
	home := t.TempDir()
	keep := map[string]string{"HOME": home, "LC_TIME": "C", "XDG_RUNTIME_DIR": home, "DISPLAY": ":7", "TZ": "UTC"}
	drop := map[string]string{"CSP_AGENT_SOCK": "/x", "CSP_AGENT_STORE_KEY_FILE": "/x", "NOTIFY_SOCKET": "/x", "LISTEN_FDS": "1", "CREDENTIALS_DIRECTORY": "/x",
		"INVOCATION_ID": "x", "SYSTEMD_EXEC_PID": "1", "SOME_TOKEN": "x", "HTTPS_PROXY": "http://x", "LD_PRELOAD": "", "GODEBUG": "http2debug=0"}
	for _, vars := range []map[string]string{keep, drop} {
		for name, value := range vars {
			t.Setenv(name, value)
		}
	}
	// Descriptors as a shell's 5>&1 leaves them, without close-on-exec.
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	extra, err := syscall.Dup(int(w.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(extra)

	file := filepath.Join(home, "report")
	stdin := strings.Repeat("0123456789", 1<<20)
	err = child().Run(t.Context(), launch.Command{Argv: []string{self(t), "play", "report", file, "$HOME", "", "a b"}, Stdin: []byte(stdin), Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	got := readReport(t, file)
	if got.Stdin != stdin {
		t.Errorf("stdin: %d bytes arrived, want %d", len(got.Stdin), len(stdin))
	}
	if want := []string{"$HOME", "", "a b"}; !slices.Equal(got.Args[4:], want) || got.Args[0] != self(t) {
		t.Errorf("arguments: %q", got.Args)
	}
	for name, value := range keep {
		if !slices.Contains(got.Env, name+"="+value) {
			t.Errorf("%s is missing", name)
		}
	}
	for _, entry := range got.Env {
		name, _, _ := strings.Cut(entry, "=")
		if _, bad := drop[name]; bad {
			t.Errorf("environment: %s", entry)
		}
	}
	if got.Dir != "/" || got.Umask != 0o022 || got.SID != got.PID || got.Group != got.PID {
		t.Errorf("in %s, umask %#o, process %d of group %d and session %d", got.Dir, got.Umask, got.PID, got.Group, got.SID)
	}
	if runtime.GOOS == "linux" {
		if len(got.FDs) != 3 {
			t.Errorf("descriptors: %q", got.FDs)
		}
		const cLibrary = 3 << 31 // signals 32 and 33 are its own, and some shells leave them ignored
		if ignored, _ := strconv.ParseUint(got.Status["SigIgn"], 16, 64); ignored&^cLibrary != 0 {
			t.Errorf("ignored signals: %x", ignored)
		}
	}
	if now := syscall.Umask(0o077); now != 0o077 {
		t.Errorf("the agent's own umask is %#o", now)
	}
}

// A gigabyte of output on both sides is read and forgotten.
func TestChildFloods(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := child().Run(t.Context(), launch.Command{Timeout: time.Minute,
		Argv: []string{"/bin/sh", "-c", "dd if=/dev/zero bs=65536 count=16384 2>/dev/null; dd if=/dev/zero bs=65536 count=16384 2>/dev/null >&2; exit 4"}})
	runtime.ReadMemStats(&after)
	e, ok := errors.AsType[*launch.Error](err)
	if !ok || e.Reason != launch.Exited || e.Status != 4 { // it was not ended by SIGPIPE
		t.Fatal(err)
	}
	if len(e.Stderr) > 4<<10 {
		t.Errorf("%d bytes are kept", len(e.Stderr))
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
		t.Errorf("%d bytes were allocated", grown)
	}
}

// It never ends by itself, and writes all the time.
func TestChildFloodsForEver(t *testing.T) {
	begin := time.Now()
	err := child().Run(t.Context(), launch.Command{Timeout: 2 * time.Second, Argv: []string{"/bin/sh", "-c", "yes >&2"}})
	if e, ok := errors.AsType[*launch.Error](err); !ok || e.Reason != launch.TimedOut || !strings.HasPrefix(e.Stderr, "y\ny\n") || time.Since(begin) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(begin))
	}
}

// A program and what it started ignore SIGTERM and hold the pipe.
func TestChildEndsStubbornPrograms(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc, to start itself")
	}
	file := filepath.Join(t.TempDir(), "pid")
	begin := time.Now()
	err := child().Run(t.Context(), launch.Command{Timeout: time.Second, Argv: []string{self(t), "play", "stubborn", file}})
	if e, ok := errors.AsType[*launch.Error](err); !ok || e.Reason != launch.TimedOut {
		t.Error(err)
	}
	if d := time.Since(begin); d > 8*time.Second {
		t.Errorf("it took %v", d)
	}
	gone(t, file)
}

// What a program leaves running ends with it, and nobody waits for it.
func TestChildLeavesNothingRunning(t *testing.T) {
	for name, redirect := range map[string]string{"holds the pipe": "", "holds nothing": ">/dev/null 2>&1 </dev/null"} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "pid")
			begin := time.Now()
			err := child().Run(t.Context(), launch.Command{Timeout: time.Minute,
				Argv: []string{"/bin/sh", "-c", "(trap '' TERM; exec sleep 60) " + redirect + " & echo $! >" + file}})
			if err != nil || time.Since(begin) > 8*time.Second {
				t.Errorf("%v after %v", err, time.Since(begin))
			}
			gone(t, file)
		})
	}
}

// gone fails if the process lives whose number is in the file. Who has just
// been killed may take a moment.
func gone(t *testing.T, file string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); lives(pid); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("process %d lives on", pid)
		}
	}
}

func lives(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || !strings.Contains(string(b), ") Z ") // not yet reaped by init
}

// The agent's end ends a program, quickly.
func TestChildEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	file := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		done <- child().Run(ctx, launch.Command{Timeout: time.Minute, Argv: []string{"/bin/sh", "-c", "echo runs >" + file + "; exec sleep 60"}})
	}()
	if b, err := os.ReadFile(file); err != nil || string(b) != "runs\n" {
		t.Fatal(err)
	}
	cancel()
	begin := time.Now()
	select {
	case err := <-done:
		if e, ok := errors.AsType[*launch.Error](err); !ok || e.Reason != launch.Stopped || !errors.Is(err, context.Canceled) || time.Since(begin) > time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it does not end")
	}
}

// A stdin that nobody reads, and more of it than a pipe holds, keeps nobody waiting.
func TestChildClosesStdin(t *testing.T) {
	big := make([]byte, 10<<20)
	for _, script := range []string{"exec <&-; sleep 0.1", "true", "head -c 1 >/dev/null"} {
		begin := time.Now()
		err := child().Run(t.Context(), launch.Command{Timeout: time.Minute, Stdin: big, Argv: []string{"/bin/sh", "-c", script}})
		if err != nil || time.Since(begin) > 5*time.Second {
			t.Errorf("%s: %v after %v", script, err, time.Since(begin))
		}
	}
}

// Hundreds of runs leave no descriptor, no goroutine, no zombie.
func TestChildLeavesNothing(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}
	count := func() (fds, children int) {
		entries, _ := os.ReadDir("/proc/self/fd")
		tasks, _ := filepath.Glob("/proc/self/task/*/children")
		for _, f := range tasks {
			b, _ := os.ReadFile(f)
			children += len(strings.Fields(string(b)))
		}
		return len(entries), children
	}
	run := func() {
		_ = child().Run(t.Context(), launch.Command{Timeout: time.Minute, Argv: []string{"/bin/true"}})
		_ = child().Run(t.Context(), launch.Command{Timeout: time.Minute, Argv: []string{"/nonexistent"}})
	}
	run()
	goroutines := runtime.NumGoroutine()
	fds, children := count()
	for range 20 {
		run()
	}
	if f, c := count(); f != fds || c != children {
		t.Errorf("%d descriptors and %d children, before %d and %d", f, c, fds, children)
	}
	for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > goroutines; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, before %d", runtime.NumGoroutine(), goroutines)
		}
	}
}
