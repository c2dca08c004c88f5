//go:build linux || darwin

package launch_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/launch"
)

// The test binary also is the agent's program, whose hidden verb children
// begin as, and the programs that are launched.
func TestMain(m *testing.M) {
	args := os.Args
	switch {
	case len(args) > 1 && args[1] == launch.Verb:
		os.Exit(launch.Exec(args[2:]))
	case len(args) > 2 && args[1] == "play":
		os.Exit(play(args[2], args[3:]))
	}
	os.Exit(m.Run())
}

// report is what a launched program finds.
type report struct {
	Args, Env    []string
	Dir, Stdin   string
	PID, SID     int
	Group        int
	Umask        int
	Core, Files  uint64 // soft limits
	FDs          []string
	Status       map[string]string // of /proc/self/status
	Cgroup       string
	HomeWritable bool
}

func play(name string, args []string) int {
	switch name {
	case "report": // FILE: writes what it finds; - is stdout
		b, err := json.Marshal(look())
		if err == nil && args[0] == "-" {
			_, err = os.Stdout.Write(b)
		} else if err == nil {
			err = os.WriteFile(args[0], b, 0o666)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 9
		}
		return 0
	case "stubborn": // FILE: its child ignores SIGTERM, holds the pipes and touches FILE
		signal.Ignore(syscall.SIGTERM)
		p, err := os.StartProcess("/proc/self/exe", []string{"child", "play", "sleeper", args[0]},
			&os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
		if err != nil {
			return 9
		}
		_, _ = p.Wait()
		return 0
	case "sleeper":
		signal.Ignore(syscall.SIGTERM)
		_ = os.WriteFile(args[0], fmt.Append(nil, os.Getpid()), 0o600)
		time.Sleep(time.Minute)
		return 0
	case "agent": // runs its arguments with a limit, and says how that went
		limit, err := time.ParseDuration(args[0])
		if err != nil {
			return 9
		}
		stdin, _ := io.ReadAll(os.Stdin)
		log := slog.New(slog.NewTextHandler(os.Stderr, nil))
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		err = launch.Hurry(launch.New(launch.Options{Log: log})).Run(ctx, launch.Command{Argv: args[1:], Stdin: stdin, Timeout: limit})
		fmt.Println(describe(err))
		return 0
	case "opener":
		fmt.Println(launch.Hurry(launch.New(launch.Options{})).Open(context.Background(), args[0]))
		return 0
	}
	return 9
}

var reasons = map[launch.Reason]string{
	launch.NotStarted: "not started", launch.NotFound: "not found", launch.NotExecutable: "not executable",
	launch.Exited: "exited", launch.Killed: "killed", launch.TimedOut: "timed out", launch.Stopped: "stopped",
}

// describe writes an error with its type.
func describe(err error) string {
	e, ok := errors.AsType[*launch.Error](err)
	switch {
	case err == nil:
		return "done"
	case !ok:
		return "untyped: " + err.Error()
	}
	return fmt.Sprintf("%s, status %d, signal %q: %s", reasons[e.Reason], e.Status, e.Signal, e)
}

// softFiles is RLIMIT_NOFILE; the runtime raises it soon.
var softFiles = func() uint64 {
	b, _ := os.ReadFile("/proc/self/limits")
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "Max open files"); ok {
			n, _ := strconv.ParseUint(strings.Fields(rest)[1], 10, 64)
			return n
		}
	}
	return 0
}()

func look() report {
	var r report
	r.Args, r.Env = os.Args, os.Environ()
	r.Dir, _ = os.Getwd()
	in, _ := io.ReadAll(os.Stdin)
	r.Stdin = string(in)
	r.PID, r.Group = os.Getpid(), syscall.Getpgrp()
	r.SID, _ = sid()
	r.Umask = syscall.Umask(0)
	syscall.Umask(r.Umask)
	var core syscall.Rlimit
	_ = syscall.Getrlimit(syscall.RLIMIT_CORE, &core)
	r.Core = core.Cur
	r.Files = softFiles
	entries, _ := os.ReadDir("/dev/fd")
	for _, e := range entries {
		target, err := os.Readlink("/dev/fd/" + e.Name())
		if err == nil && !strings.HasPrefix(target, "/sys/fs/cgroup/") && !strings.HasPrefix(target, "anon_inode:[event") {
			// Neither the one it was read by, nor those of Go's own runtime.
			r.FDs = append(r.FDs, e.Name()+" "+target)
		}
	}
	r.Status = map[string]string{}
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		r.Status[name] = strings.TrimSpace(value)
	}
	cgroup, _ := os.ReadFile("/proc/self/cgroup")
	r.Cgroup = string(cgroup)
	file := filepath.Join(os.Getenv("HOME"), "written-by-the-program")
	r.HomeWritable = os.WriteFile(file, nil, 0o600) == nil
	return r
}

func readReport(t *testing.T, path string) report {
	t.Helper()
	b, err := os.ReadFile(path)
	var r report
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
