//go:build linux || darwin

package ipc_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/ipc/listen"
)

// The names begin as those that a started agent inherits.
const (
	playEnv = "CSP_AGENT_TEST_PLAY"
	dirEnv  = "CSP_AGENT_TEST_DIR" // where a played agent leaves its traces
)

const nobody = 65534

// The test binary also plays the agent, and a client in a process of its own.
func TestMain(m *testing.M) {
	play := os.Getenv(playEnv)
	if filepath.Base(os.Args[0]) == "csp-agent" || strings.HasPrefix(play, "agent") {
		playAgent(play)
		return
	}
	switch play {
	case "":
		os.Exit(m.Run())
	case "client":
		token, err := ipc.Open(ipc.Options{}).Token(ipc.TokenRequest{})
		if err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		fmt.Println(token.Token.Reveal())
	case "client then show": // what a program run afterwards finds
		if _, err := ipc.Open(ipc.Options{}).Token(ipc.TokenRequest{}); err != nil {
			fmt.Println("error:", err)
		}
		err := syscall.Exec("/bin/sh", []string{"sh", "-c", "(: >&3) 2>/dev/null && echo 3 is inherited"}, os.Environ())
		fmt.Println("error:", err)
	case "eavesdropper": // listens at argv[1] and tells what one client sent
		_ = os.Remove(os.Args[1])
		l, err := net.Listen("unix", os.Args[1])
		if err == nil {
			err = os.Chmod(os.Args[1], 0o777)
		}
		if err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		fmt.Println("listening")
		c, err := l.Accept()
		if err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		b := make([]byte, 1000)
		n, _ := c.Read(b)
		_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
		_ = c.Close()
		fmt.Println("bytes:", n)
	}
}

// playAgent is `csp-agent run`, or one that fails as play says.
func playAgent(play string) {
	dir := os.Getenv(dirEnv)
	trace, err := os.Create(filepath.Join(dir, "start."+strconv.Itoa(os.Getpid())))
	if err == nil {
		_, err = fmt.Fprintln(trace, strings.Join(os.Args[1:], " "))
	}
	if err != nil || play == "agent that dies" {
		os.Exit(3)
	}
	if play == "agent that hangs" {
		time.Sleep(5 * time.Second)
		return
	}
	path, err := ipc.SocketPath(os.Getenv)
	if err != nil {
		os.Exit(4)
	}
	l, err := listen.Listen(listen.Options{Path: path})
	if err != nil {
		os.Exit(5)
	}
	srv := listen.Server(http.HandlerFunc(tokenHandler))
	go func() { _ = srv.Serve(l) }()
	// Until the test is over, or for a minute if it never says so.
	for range 600 {
		if _, err := os.Stat(filepath.Join(dir, "stop")); err == nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	_ = srv.Close()
}

const fakeToken = "fake.token.value"

// tokenHandler answers as GET /v1/token in plain text does.
func tokenHandler(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set(ipc.HeaderVersion, ipc.Version)
	h.Set(ipc.HeaderProfile, "prod")
	h.Set(ipc.HeaderProvider, "csp")
	h.Set(ipc.HeaderExpiresAt, "2030-01-02T03:04:05Z")
	h.Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, fakeToken+"\n")
}

// folder returns a fresh folder with a short path, for sockets.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "i")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// serve runs an agent with handler h at path.
func serve(t *testing.T, path string, h http.HandlerFunc) {
	t.Helper()
	l, err := listen.Listen(listen.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	srv := listen.Server(h)
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
}

// raw runs a listener at path whose connections behave as f says, in turn.
func raw(t *testing.T, path string, f func(c net.Conn)) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			f(c)
			_ = c.Close()
		}
	}()
}

// on returns a client that uses the socket at path and starts nothing.
func on(path string) *ipc.Client {
	return ipc.Open(ipc.Options{NoStart: true, Getenv: env(ipc.EnvSocket, path)})
}

// asNobody makes cmd, which runs this binary, run as uid 65534.
func asNobody(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to run a process as another user")
	}
	b, err := os.ReadFile(cmd.Path)
	if err != nil {
		t.Fatal(err)
	}
	dir := folder(t) // where the other user can reach it
	cmd.Path = filepath.Join(dir, "helper")
	if err := errors.Join(os.WriteFile(cmd.Path, b, 0o755), os.Chmod(dir, 0o755), os.Chmod(cmd.Path, 0o755)); err != nil {
		t.Fatal(err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
}

// self prepares a process of this binary that plays something.
func self(t *testing.T, play string, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, args...)
	cmd.Env = append(os.Environ(), playEnv+"="+play)
	cmd.Stderr = os.Stderr
	return cmd
}
