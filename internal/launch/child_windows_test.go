package launch_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/windows"

	"github.com/cspctl/cspctl/internal/launch"
)

// The test binary also is the programs that are launched.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "play" {
		os.Exit(play(os.Args[2], os.Args[3:]))
	}
	os.Exit(m.Run())
}

func play(name string, args []string) int {
	switch name {
	case "fail": // says what it was told
		said, _ := io.ReadAll(os.Stdin)
		dir, _ := os.Getwd()
		fmt.Fprintf(os.Stderr, "\r\n%s|%s|%s|%s\r\nmore\r\n", said, strings.Join(args, "|"), dir, os.Getenv("CSP_TEST_SECRET"))
		return 3
	case "parent": // FILE: leaves a child behind, whose number is in FILE, and waits if told to
		p, err := os.StartProcess(os.Args[0], []string{os.Args[0], "play", "sleeper"}, &os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
		if err != nil || os.WriteFile(args[0], fmt.Append(nil, p.Pid), 0o600) != nil {
			return 9
		}
		if len(args) > 1 {
			time.Sleep(time.Minute)
		}
		return 0
	case "sleeper":
		time.Sleep(time.Minute)
		return 0
	}
	return 9
}

func run(t *testing.T, ctx context.Context, limit time.Duration, args ...string) *launch.Error {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	err = launch.Hurry(launch.New(launch.Options{})).Run(ctx, launch.Command{Argv: append([]string{exe, "play"}, args...), Stdin: []byte("the event"), Timeout: limit})
	e, ok := errors.AsType[*launch.Error](err)
	if err != nil && !ok {
		t.Fatal(err)
	}
	return e
}

func TestChildFails(t *testing.T) {
	t.Setenv("CSP_TEST_SECRET", "hidden")
	e := run(t, t.Context(), 20*time.Second, "fail", `a "b" c\`, "")
	if e == nil || e.Reason != launch.Exited || e.Status != 3 {
		t.Fatalf("got %v", e)
	}
	if line, _, _ := strings.Cut(e.Stderr, "\n"); line != `the event|a "b" c\||`+filepath.VolumeName(os.Args[0])+`\|` {
		t.Errorf("it found %q", e.Stderr)
	}
}

func TestChildThatIsNone(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text.exe")
	if err := os.WriteFile(text, []byte("no program"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]launch.Reason{text: launch.NotExecutable, text + "x": launch.NotFound, filepath.Dir(text): launch.NotExecutable} {
		err := launch.New(launch.Options{}).Run(t.Context(), launch.Command{Argv: []string{path}, Timeout: time.Second})
		if e, ok := errors.AsType[*launch.Error](err); !ok || e.Reason != want {
			t.Errorf("%s: got %v", path, err)
		}
	}
}

// What a program starts ends with it, at its end and at its time limit.
func TestChildLeavesNothingRunning(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		want launch.Reason
	}{
		{"it ends", nil, 0},
		{"it takes too long", []string{"wait"}, launch.TimedOut},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "pid")
			began := time.Now()
			e := run(t, t.Context(), 5*time.Second, append([]string{"parent", file}, c.args...)...)
			if e == nil && c.want != 0 || e != nil && e.Reason != c.want || time.Since(began) > 30*time.Second {
				t.Errorf("got %v after %v", e, time.Since(began))
			}
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			pid, err := strconv.ParseUint(string(b), 10, 32)
			if err != nil {
				t.Fatal(err)
			}
			h, err := windows.OpenProcess(windows.SYNCHRONIZE, false, uint32(pid))
			if err != nil {
				return // it is gone
			}
			defer func() { _ = windows.CloseHandle(h) }()
			if event, err := windows.WaitForSingleObject(h, 10_000); event != windows.WAIT_OBJECT_0 {
				t.Errorf("its child lives: %v, %v", event, err)
			}
		})
	}
}

func TestChildEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if e := run(t, ctx, time.Minute, "sleeper"); e == nil || e.Reason != launch.Stopped || !errors.Is(e, context.DeadlineExceeded) {
		t.Errorf("got %v", e)
	}
}
