package launch_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/launch"
)

// silentSocket listens, and says nothing.
func silentSocket(t *testing.T, name string) (path string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "l")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path = filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(io.Discard, c)
				c.Close()
			}()
		}
	}()
	return path
}

// service is a launcher of an agent that is a service of the user's.
func service(runtime string) *launch.Launcher {
	env := map[string]string{"XDG_RUNTIME_DIR": runtime, "SYSTEMD_EXEC_PID": strconv.Itoa(os.Getpid()), "INVOCATION_ID": "x"}
	return launch.Hurry(launch.New(launch.Options{Getenv: func(name string) string { return env[name] }}))
}

// A manager that hangs or is not there ends in an error, not in a child inside
// the sandbox.
func TestManagerOutOfReach(t *testing.T) {
	for _, c := range []struct{ name, runtime, want string }{
		{"hangs", filepath.Dir(filepath.Dir(silentSocket(t, "systemd/private"))), "the user's service manager does not answer"},
		{"is hidden", t.TempDir(), "finds no service manager at $XDG_RUNTIME_DIR/systemd/private"},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "ran")
			begin := time.Now()
			err := service(c.runtime).Run(t.Context(), launch.Command{Argv: []string{"/bin/sh", "-c", ": >" + file}, Timeout: time.Minute})
			if e, ok := errors.AsType[*launch.Error](err); !ok || e.Reason != launch.NotStarted || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
			if d := time.Since(begin); d > 10*time.Second {
				t.Errorf("it took %v", d)
			}
			if _, err := os.Stat(file); err == nil {
				t.Error("it ran")
			}
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begin := time.Now()
	err := service(filepath.Dir(filepath.Dir(silentSocket(t, "systemd/private")))).Run(ctx, launch.Command{Argv: []string{"/bin/true"}, Timeout: time.Minute})
	if e, ok := errors.AsType[*launch.Error](err); !ok || e.Reason != launch.Stopped || time.Since(begin) > 3*time.Second {
		t.Errorf("at the agent's end: %v after %v", err, time.Since(begin))
	}
}

// Who has the variables of a service, but is none, starts children.
func TestManagerOfAnotherProcess(t *testing.T) {
	for name, env := range map[string]map[string]string{
		"what a service started":        {"INVOCATION_ID": "x", "SYSTEMD_EXEC_PID": "1", "XDG_RUNTIME_DIR": t.TempDir()},
		"a service of the system's":     {"INVOCATION_ID": "x", "SYSTEMD_EXEC_PID": strconv.Itoa(os.Getpid())},
		"a shell beside a live manager": {"XDG_RUNTIME_DIR": filepath.Dir(filepath.Dir(silentSocket(t, "systemd/private")))},
	} {
		l := launch.Hurry(launch.New(launch.Options{Getenv: func(name string) string { return env[name] }, Umask: 0o022}))
		if err := l.Run(t.Context(), launch.Command{Argv: []string{"/bin/true"}, Timeout: time.Minute}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
