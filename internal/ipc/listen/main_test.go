//go:build linux || darwin

package listen_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/ipc/listen"
)

const roleEnv = "LISTEN_TEST_ROLE"

// The test binary is also the other processes that the tests need.
func TestMain(m *testing.M) {
	switch os.Getenv(roleEnv) {
	case "":
		os.Exit(m.Run())
	case "listen": // makes the socket argv[1], says so, holds it until stdin ends
		l, err := listen.Listen(listen.Options{Path: os.Args[1]})
		switch {
		case errors.Is(err, listen.ErrRunning):
			fmt.Println("running")
		case err != nil:
			fmt.Println("error:", err)
		default:
			fmt.Println("won")
			_, _ = io.Copy(io.Discard, os.Stdin)
			_ = l.Close()
		}
	case "get": // as cspctl would, on the socket argv[1]
		c := ipc.Open(ipc.Options{NoStart: true})
		reply, err := c.Do(ipc.Request{Method: "GET", Path: "/v1/status", Timeout: 10 * time.Second})
		if err != nil {
			fmt.Println("error:", err)
		} else {
			fmt.Println(reply.Status, string(reply.Body))
		}
	case "leave": // connects to argv[1], and leaves the connection to another process
		c, err := net.Dial("unix", os.Args[1])
		if err != nil {
			fmt.Println("error:", err)
			break
		}
		f, err := c.(*net.UnixConn).File()
		if err != nil {
			fmt.Println("error:", err)
			break
		}
		heir := exec.Command("/bin/sh", "-c", `printf 'GET /left HTTP/1.1\r\nHost: agent\r\n' >&3; cat >/dev/null; printf '\r\n' >&3; cat <&3 >/dev/null`)
		heir.Stdin, heir.ExtraFiles = os.Stdin, []*os.File{f}
		if err := heir.Start(); err != nil {
			fmt.Println("error:", err)
			break
		}
		fmt.Println("left")
	case "activated":
		ls, err := listen.Activated(func(string, string) listen.Options { return listen.Options{} })
		if err != nil {
			fmt.Println("error:", err)
		}
		if len(ls) != 1 {
			fmt.Println("sockets:", len(ls))
			break
		}
		srv := listen.Server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			peer, _ := listen.PeerFrom(r.Context())
			_, _ = fmt.Fprintf(w, "%s %s %d %v", ls[0].Name(), ls[0].Path(), peer.UID, ls[0].StillOurs())
		}))
		go func() { _ = srv.Serve(ls[0]) }()
		ended, look := make(chan struct{}), make(chan os.Signal, 1)
		signal.Notify(look, syscall.SIGHUP)
		fmt.Println("serving")
		go func() { _, _ = io.Copy(io.Discard, os.Stdin); close(ended) }()
		for {
			select {
			case <-look:
				if err := ls[0].Restore(); err != nil {
					fmt.Fprintln(os.Stderr, err)
				}
				continue
			case <-ended:
			}
			break
		}
		_ = srv.Close()
	}
}

// helper prepares another process of this binary. It runs even where another
// user can't reach the binary's folder.
func helper(t *testing.T, role string, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, args...)
	cmd.Env = append(os.Environ(), roleEnv+"="+role)
	cmd.Stderr = os.Stderr
	return cmd
}

// asNobody makes the helper run as uid 65534.
func asNobody(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to run a process as another user")
	}
	dir, err := os.MkdirTemp("", "exe")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	b, err := os.ReadFile(cmd.Path)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Path = filepath.Join(dir, "helper")
	if err := errors.Join(os.WriteFile(cmd.Path, b, 0o755), os.Chmod(dir, 0o755), os.Chmod(cmd.Path, 0o755)); err != nil {
		t.Fatal(err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
}

const nobody = 65534

// folder returns a fresh folder with a short path, for sockets.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "l")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func mustListen(t *testing.T, o listen.Options) *listen.Listener {
	t.Helper()
	l, err := listen.Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// serve answers every request on l with its path.
func serve(t *testing.T, l net.Listener) *http.Server {
	t.Helper()
	srv := listen.Server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(ipc.HeaderVersion, ipc.Version)
		body := "hello " + r.URL.Path
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = io.WriteString(w, body)
	}))
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	t.Cleanup(func() {
		_ = srv.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("the server ended by itself: %v", err)
		}
	})
	return srv
}

// client talks to the socket at path.
func client(path string) *ipc.Client {
	return ipc.Open(ipc.Options{NoStart: true, Getenv: func(name string) string {
		return map[string]string{ipc.EnvSocket: path}[name]
	}})
}

func get(path, url string) (string, error) {
	reply, err := client(path).Do(ipc.Request{Method: "GET", Path: url, Timeout: 20 * time.Second})
	if err != nil {
		return "", err
	}
	return fmt.Sprint(reply.Status, " ", string(reply.Body)), nil
}

// wantServed fails unless the socket answers.
func wantServed(t *testing.T, path string) {
	t.Helper()
	if got, err := get(path, "/x"); err != nil || got != "200 hello /x" {
		t.Errorf("not served: %q, %v", got, err)
	}
}

// firstLine starts cmd and returns the first line that it prints, and a
// function that ends it.
func firstLine(t *testing.T, cmd *exec.Cmd) (string, func()) {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Errorf("the helper said nothing: %v", err)
	}
	return strings.TrimSpace(line), func() {
		_ = in.Close()
		_ = cmd.Wait()
	}
}
