//go:build linux || darwin

package listen_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// passTo has a process of this binary inherit a listening socket the way that
// systemd passes one. pid is $$ for the process itself.
func passTo(t *testing.T, path, pid string) *exec.Cmd {
	t.Helper()
	inner, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = inner.Close() })
	file, err := inner.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", `LISTEN_PID=`+pid+` exec "$0"`, exe)
	cmd.Env = append(os.Environ(), roleEnv+"=activated", "LISTEN_FDS=1", "LISTEN_FDNAMES=token")
	cmd.ExtraFiles = []*os.File{file}
	cmd.Stderr = os.Stderr
	return cmd
}

func TestSocketPassedBySystemd(t *testing.T) {
	path := filepath.Join(folder(t), "agent.sock")
	line, end := firstLine(t, passTo(t, path, "$$"))
	if line != "serving" {
		t.Fatal(line)
	}
	want := fmt.Sprintf("200 token %s %d true", path, os.Geteuid())
	if got, err := get(path, "/x"); err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	end()
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the agent removed systemd's socket: %v", err)
	}
}

// systemd does not notice that its socket is gone: clients find one of the
// agent's own at its place.
func TestSocketPassedBySystemdAndRemoved(t *testing.T) {
	path := filepath.Join(folder(t), "agent.sock")
	cmd := passTo(t, path, "$$")
	line, end := firstLine(t, cmd)
	if line != "serving" {
		t.Fatal(line)
	}
	if err := os.RemoveAll(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil { // has it look
		t.Fatal(err)
	}
	want := fmt.Sprintf("200 token %s %d true", path, os.Geteuid())
	deadline := time.Now().Add(10 * time.Second)
	for {
		got, err := get(path, "/x")
		if err == nil && got == want {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("got %q, %v, want %q", got, err, want)
		}
		time.Sleep(10 * time.Millisecond)
	}
	end()
	if _, err := os.Lstat(path); err == nil {
		t.Error("the agent left its socket")
	}
}

// LISTEN_PID of another process means that the sockets are not for this one.
func TestSocketPassedToAnotherProcess(t *testing.T) {
	line, end := firstLine(t, passTo(t, filepath.Join(folder(t), "agent.sock"), "1"))
	defer end()
	if line != "sockets: 0" {
		t.Errorf("got %q", line)
	}
}
