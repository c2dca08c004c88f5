//go:build linux

package e2e_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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

const notFor = `profile \S+ does not exist or is not for this user\n`

// The system service on a shared host: each profile goes to those whom the
// settings list for it, and to nobody else.
func TestT27TokensGoToWhomTheirProfileLists(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("needs curl (Debian package curl)")
	}
	s := newService(t)
	s.set(fmt.Sprintf("[profiles.ci]\nuids = [%d]\n", alice))
	if ended := s.start(); ended != "" {
		t.Fatal(ended)
	}
	token := filepath.Join(s.world.dir, "prod.token")
	for _, name := range []string{"ci", "deploy"} {
		s.mustAdmin("login", name, "--server", s.url, "--token-file", token)
	}
	if out, code := s.admin("profile", "show", "ci"); code != 0 || !regexp.MustCompile(`store +file`).MatchString(out) {
		t.Errorf("the store is to be the file: %s", out)
	}
	if out, code := s.admin("login", "x", "--server", s.url, "--token-file", token, "--store", "keychain"); code != 2 || !strings.Contains(out, "the stores are file and memory") {
		t.Errorf("exit %d, %s", code, out)
	}
	curl := func(more ...string) []string {
		return append([]string{"curl", "-sS", "--max-time", "20", "--unix-socket", s.socket}, more...)
	}
	in, none := []uint32{builders}, []uint32(nil)
	for _, c := range []struct {
		uid    uint32
		groups []uint32
		args   []string
		code   int
		want   string
	}{
		{alice, in, []string{"cspctl", "token", "ci"}, 0, `^eyJ[^\n]+\n$`},
		{alice, in, []string{"cspctl", "token"}, 0, `^eyJ`}, // the default profile
		{alice, in, []string{"cspctl", "token", "ci", "-o", "json"}, 0, `"profile": "ci"`},
		{alice, in, []string{"cspctl", "token", "deploy"}, 3, notFor + "cspctl: hint: ask the administrator of this agent, who adds uid 64002"},
		{alice, in, []string{"cspctl", "token", "nothing"}, 3, notFor},
		{bob, in, []string{"cspctl", "token", "ci"}, 3, notFor},
		{bob, in, []string{"cspctl", "token"}, 3, `no profile is for this user`},
		{carol, none, []string{"cspctl", "token", "ci"}, 6, `no permission to use the socket`},
		// The group of the socket lets in, and no profile knows of it.
		{carol, in, []string{"cspctl", "token", "ci"}, 3, notFor},
		{alice, in, []string{"cspctl", "token", "ci", "--fresh"}, 6, `the token of profile ci is new, and another one can be had in \d+ seconds`},
		{alice, in, []string{"cspctl", "token", "ci", "--min-ttl", "20m"}, 0, `^eyJ`},
		{alice, in, []string{"cspctl", "token", "ci", "--passcode", "123456"}, 6, `a passcode is not taken on this socket`},
		{alice, in, []string{"cspctl", "token", "ci", "--kind", "proxy"}, 6, `proxy tokens are not given`},
		{alice, in, curl("-d", `{"profile":"ci","scope":["openid"]}`, "http://agent/v1/token"), 0, `"code":"not_allowed"`},
		{alice, in, curl("http://agent/v1/profiles"), 0, `^\{"profiles":\[\{"name":"ci","default":true,"provider":"","server":"","store":""\}\]\}`},
		{bob, in, curl("http://agent/v1/profiles"), 0, `^\{"profiles":\[\]\}`},
		{alice, in, []string{"cspctl", "__complete", "token", "="}, 0, `^ci\n$`},
		{alice, in, []string{"cspctl", "status"}, 6, `this socket gives tokens and nothing else`},
		{alice, in, []string{"cspctl", "expiry", "ci"}, 3, `this socket gives tokens and nothing else`},
		{alice, in, []string{"cspctl", "inspect", "ci"}, 6, `this socket gives tokens and nothing else`},
		{alice, in, []string{"cspctl", "logout", "ci"}, 6, `this socket gives tokens and nothing else`},
		{alice, in, []string{"cspctl", "login", "mine", "--token-file", "/dev/null"}, 6, `this socket gives tokens and nothing else`},
	} {
		out, code, stderr := s.as(c.uid, c.groups, c.args...)
		if code != c.code || !regexp.MustCompile(c.want).MatchString(out+stderr) || code != 0 && out != "" {
			t.Errorf("uid %d, %v: exit %d, %q, %q", c.uid, c.args, code, out, stderr)
		}
	}

	s.followsTheSettings()

	// P1, and it comes up again by itself: the key is systemd's to give.
	s.stop()
	if ended := s.start(); ended != "" {
		t.Fatal(ended)
	}
	if out, code, stderr := s.as(alice, in, "cspctl", "token", "ci"); code != 0 {
		t.Errorf("after a restart: exit %d, %q, %q", code, out, stderr)
	}
	s.onRecord()
}

// Whom a profile lists changes with the settings, for connections that are open
// as well; and so does who may connect at all.
func (s *service) followsTheSettings() {
	t := s.t
	t.Helper()
	c := connectAs(t, bob, bob, builders, s.socket)
	in := bufio.NewReader(c)
	expect := func(what string, want int) {
		t.Helper()
		if status, body := askOn(t, c, in, "ci"); status != want {
			t.Errorf("%s: %d, %s", what, status, body)
		}
	}
	expect("bob is not listed", 404)
	s.set(fmt.Sprintf("[profiles.ci]\nuids = [%d]\ngids = [%d]\n", alice, deployers))
	expect("bob is in another group", 404)
	s.set(fmt.Sprintf("[profiles.ci]\ngids = [%d]\n", builders))
	expect("bob's group is listed", 200)
	s.set(fmt.Sprintf("[profiles.ci]\ngids = [%d]\n[profiles.ci.typo]\n", builders))
	expect("a bad edit changes nothing", 200)
	s.set(fmt.Sprintf("[[sockets]]\npath = %q\nrole = \"token\"\nuids = [%d]\n[profiles.ci]\ngids = [%d]\n", s.socket, alice, builders))
	s.until("the socket is alice's", func() bool {
		status, _ := askOn(t, c, in, "ci")
		return status == 403
	})
	s.set(fmt.Sprintf("[profiles.ci]\nuids = [%d]\n", alice))
	s.until("the socket is the group's again", func() bool {
		status, _ := askOn(t, c, in, "ci")
		return status == 404
	})
}

// onRecord checks what the audit log holds of all that.
func (s *service) onRecord() {
	t := s.t
	t.Helper()
	s.stop()
	b, err := os.ReadFile(filepath.Join(s.state, "audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"action":"login","uid":0,"gid":0,"pid":\d+,"program":"cspctl","program_verified":false,"role":"owner","socket":"[^"]*/agent.sock","profile":"ci"\}`,
		`"action":"token","uid":64002,"gid":64002,"pid":\d+,"program":"cspctl","program_verified":false,"role":"token","socket":"[^"]*/token.sock","profile":"ci","kind":"access","token_expires_at":"`,
		`"action":"token","code":"no_such_profile","reason":"not listed","fix":"uids = \[64003\] or gids = \[64003\] below \[profiles.ci\] in the settings, then SIGHUP","uid":64003,.*"profile":"ci"`,
		`"action":"token","code":"no_such_profile","uid":64002,.*"profile":"nothing"`,
		`"action":"token","code":"busy","uid":64002,`,
		`"action":"status","code":"not_allowed","reason":"role","uid":64002,`,
	} {
		if !regexp.MustCompile(want).Match(b) {
			t.Errorf("not on record: %s", want)
		}
	}
	for line := range strings.Lines(string(b)) {
		var l struct{ Time time.Time }
		if err := json.Unmarshal([]byte(line), &l); err != nil || l.Time.IsZero() || strings.Contains(line, "eyJ") {
			t.Errorf("%q: %v", line, err)
		}
	}
	if t.Failed() {
		t.Logf("%s\n%s", b, s.log())
	}
}

// What systemd passes has a name that says what it is for; root is the owner
// unless the settings say otherwise.
func TestSystemServiceSockets(t *testing.T) {
	s := newService(t)
	s.names = "owner:csp-agent-token.socket"
	if ended := s.start(); !strings.Contains(ended, `/token.sock under the name "csp-agent-token.socket": give its unit FileDescriptorName=owner, token or observe`) {
		t.Errorf("an unknown name: %s", ended)
	}
	s.agent = nil

	s.names = "owner:observe"
	s.set("allow_root = false\n")
	if ended := s.start(); ended != "" {
		t.Fatal(ended)
	}
	if out, code := s.admin("status"); code != 6 || !strings.Contains(out, "does not serve your user") {
		t.Errorf("root, who is not allowed: exit %d, %s", code, out)
	}
	for args, want := range map[string]int{"status": 0, "token ci": 6} {
		if out, code, stderr := s.as(bob, []uint32{builders}, append([]string{"cspctl"}, strings.Fields(args)...)...); code != want {
			t.Errorf("an observer, %s: exit %d, %q, %q", args, code, out, stderr)
		}
	}
	s.stop()

	// A group that is everybody's, or root's, admits nobody.
	s.names = "owner:token"
	s.set("[profiles.ci]\nuids = [64003]\n")
	if err := os.Chown(s.socket, 0, 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(s.socket, 0o666); err != nil {
		t.Fatal(err)
	}
	if ended := s.start(); ended != "" {
		t.Fatal(ended)
	}
	if !s.logSays("a socket for others has no group") || !s.logSays("SocketGroup=") {
		t.Errorf("the log does not say what is to be done: %s", s.log())
	}
	if out, code, stderr := s.as(bob, []uint32{0}, "cspctl", "token", "ci"); code != 6 || !strings.Contains(stderr, "does not serve your user") {
		t.Errorf("exit %d, %q, %q", code, out, stderr)
	}
}
