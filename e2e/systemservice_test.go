//go:build linux

package e2e_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// The users of a shared host, and the group of those who build.
const (
	serviceUser = 64001
	alice       = 64002
	bob         = 64003
	carol       = 64004 // in no group
	builders    = 64010
	deployers   = 64011
)

// service is `csp-agent run --system` as a user of its own, with sockets that
// the test passes to it as systemd does.
type service struct {
	*observers
	config string
	files  []*os.File // the sockets
	names  string     // LISTEN_FDNAMES
	state  string
	env    []string
}

// newService returns a service that does not run yet, with the sockets of the
// two units.
func newService(t *testing.T) *service {
	t.Helper()
	o := newObservers(t)
	dir := filepath.Dir(o.dir)
	s := &service{observers: o, config: filepath.Join(dir, "config.toml"), state: filepath.Join(dir, "state"), names: "owner:token"}
	o.dir, o.socket = dir, filepath.Join(dir, "token.sock")
	credentials := filepath.Join(dir, "credentials")
	for _, d := range []string{s.state, credentials} {
		if err := errors.Join(os.Mkdir(d, 0o700), os.Chown(d, serviceUser, serviceUser)); err != nil {
			t.Fatal(err)
		}
	}
	key := filepath.Join(credentials, "cspctl-store-key")
	if err := errors.Join(os.Rename(storeKey(t, credentials), key), os.Chmod(key, 0o400), os.Chown(key, serviceUser, serviceUser)); err != nil {
		t.Fatal(err)
	}
	s.env = []string{"PATH=" + os.Getenv("PATH"), "GORACE=halt_on_error=1", // no HOME
		"STATE_DIRECTORY=" + s.state, "CSP_AGENT_CONFIG=" + s.config, "CREDENTIALS_DIRECTORY=" + credentials}
	s.socketAt("agent.sock", 0o600, 0)
	s.socketAt("token.sock", 0o660, builders)
	return s
}

func (s *service) socketAt(name string, mode os.FileMode, gid int) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		s.t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	f, err := l.File()
	if err = errors.Join(err, l.Close(), os.Chown(path, 0, gid), os.Chmod(path, mode)); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = f.Close() })
	s.files = append(s.files, f)
}

// owners is the path of the owner's socket.
func (s *service) owners() string { return filepath.Join(s.dir, "agent.sock") }

// start starts it and waits until it serves; it returns what it ended with
// instead, if it does.
func (s *service) start() (ended string) {
	s.t.Helper()
	logFile := filepath.Join(s.world.dir, "agent.log")
	log, err := os.Create(logFile)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	c := exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ exec "$0" run --system`, filepath.Join(bin, "csp-agent"))
	c.Env = append(s.env, fmt.Sprintf("LISTEN_FDS=%d", len(s.files)), "LISTEN_FDNAMES="+s.names)
	c.ExtraFiles, c.Dir, c.Stdout, c.Stderr = s.files, "/", log, log
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: serviceUser, Gid: serviceUser}}
	if err := c.Start(); err != nil {
		s.t.Fatal(err)
	}
	p := &process{Cmd: c, ended: make(chan struct{})}
	go func() { _ = c.Wait(); close(p.ended) }()
	s.agent = p
	err = within(20*time.Second, func() error {
		select {
		case <-p.ended:
			b, _ := os.ReadFile(logFile)
			ended = string(b)
			return nil
		default:
		}
		if !s.logSays("msg=serving ") {
			return errors.New("it does not serve")
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return ended
}

func (s *service) stop() {
	s.agent.stop(syscall.SIGTERM)
	s.agent = nil
}

// set writes the settings; a running service reads them.
func (s *service) set(text string) {
	s.t.Helper()
	read := func() int {
		return strings.Count(s.log(), "settings read") + strings.Count(s.log(), "settings can't be used")
	}
	before := read()
	if err := os.WriteFile(s.config, []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
	if s.agent == nil {
		return
	}
	_ = s.agent.Process.Signal(syscall.SIGHUP)
	s.until("the settings are read", func() bool { return read() > before })
}

func (s *service) log() string {
	b, _ := os.ReadFile(filepath.Join(s.world.dir, "agent.log"))
	return string(b)
}

// admin runs cspctl as root on the owner's socket.
func (s *service) admin(args ...string) (out string, code int) {
	s.t.Helper()
	c := exec.CommandContext(s.t.Context(), filepath.Join(bin, "cspctl"), args...)
	c.Env = []string{"HOME=/nonexistent", "PATH=" + os.Getenv("PATH"), "CSP_AGENT_SOCK=" + s.owners()}
	b, err := c.CombinedOutput()
	if c.ProcessState == nil {
		s.t.Fatal(err)
	}
	return string(b), c.ProcessState.ExitCode()
}

func (s *service) mustAdmin(args ...string) {
	s.t.Helper()
	if out, code := s.admin(args...); code != 0 {
		s.t.Fatalf("%v: exit %d, %s\n%s", args, code, out, s.log())
	}
}

// connectAs returns a connection to a socket that another user has made, as the
// kernel tells: credentials are a thread's, and this one ends with the call.
func connectAs(t *testing.T, uid, gid, group uint32, path string) net.Conn {
	t.Helper()
	type result struct {
		c   net.Conn
		err error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // and never unlocked
		groups := [1]uint32{group}
		var r result
		if _, _, e := syscall.RawSyscall(syscall.SYS_SETGROUPS, 1, uintptr(unsafe.Pointer(&groups)), 0); e != 0 {
			r.err = e
		} else if _, _, e := syscall.RawSyscall(syscall.SYS_SETRESGID, uintptr(gid), uintptr(gid), uintptr(gid)); e != 0 {
			r.err = e
		} else if _, _, e := syscall.RawSyscall(syscall.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); e != 0 {
			r.err = e
		} else {
			r.c, r.err = net.Dial("unix", path)
		}
		done <- r
	}()
	r := <-done
	if r.err != nil {
		t.Fatal(r.err)
	}
	t.Cleanup(func() { _ = r.c.Close() })
	return r.c
}

// askOn asks for a token on a connection that stays open.
func askOn(t *testing.T, c net.Conn, in *bufio.Reader, profile string) (status int, body string) {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := fmt.Fprintf(c, "GET /v1/token?profile=%s HTTP/1.1\r\nHost: agent\r\n\r\n", profile); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.Close {
		t.Fatalf("%v, closes: %v", err, resp.Close)
	}
	return resp.StatusCode, string(b)
}
