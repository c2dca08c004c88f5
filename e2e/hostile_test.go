//go:build unix

package e2e_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// An agent of another user on the socket's path is given nothing: cspctl looks
// who listens before it writes.
func TestAgentOfAnotherUserIsRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to be two users")
	}
	dir, err := os.MkdirTemp("", "sock")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "agent.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Chmod(socket, 0o777); err != nil {
		t.Fatal(err)
	}
	got := make(chan int, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			n, _ := c.Read(make([]byte, 1))
			got <- n
			_ = c.Close()
		}
	}()
	exe := filepath.Join(dir, "cspctl") // where the other user may run it
	b, err := os.ReadFile(filepath.Join(bin, "cspctl"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(exe, b, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"token"}, {"login", "prod", "--token-file", "-"}} {
		c := exec.Command(exe, args...)
		c.Env = []string{"HOME=/nonexistent", "CSP_AGENT_SOCK=" + socket}
		c.Stdin = strings.NewReader("some-api-token-of-mine\n")
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65533, Gid: 65533}}
		var stdout, stderr strings.Builder
		c.Stdout, c.Stderr = &stdout, &stderr
		_ = c.Run()
		if c.ProcessState.ExitCode() != 6 || stdout.Len() != 0 || !strings.Contains(stderr.String(), "another user") {
			t.Errorf("%v: exit %d, stdout %q, stderr %q", args, c.ProcessState.ExitCode(), &stdout, &stderr)
		}
		if n := <-got; n != 0 {
			t.Errorf("%v: the other user's agent read something", args)
		}
	}
}
