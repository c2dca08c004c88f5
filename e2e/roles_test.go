//go:build linux

package e2e_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

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
		{alice, in, []string{"cspctl", "token", "deploy"}, 3, notFor + "cspctl: hint: ask the administrator of this agent, who lists uid 64002"},
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

// A user's own agent gives tokens to others, too, through a socket of the
// settings: to a build group, a container, another machine. Its user is listed
// like others there, since it is somebody else who asks through it.
func TestT27TokenSocketOfAUsersOwnAgent(t *testing.T) {
	o := newObservers(t)
	if err := os.Mkdir(o.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	socket := fmt.Sprintf("[[sockets]]\npath = \"SOCKET\"\nrole = \"token\"\nuids = [%d]\n", bob)
	o.settings(socket + fmt.Sprintf("[profiles.prod]\nuids = [%d]\n", bob))
	if err := o.startAgent(o.env); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"first", "prod"} {
		if out, err := o.login(name, "prod.token"); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	o.until("the socket is made", func() bool { return exists(o.socket) })
	expect := func(uid uint32, code int, want string, args ...string) {
		t.Helper()
		out, got, stderr := o.as(uid, nil, append([]string{"cspctl"}, args...)...)
		if got != code || !strings.Contains(out+stderr, want) || code != 0 && out != "" {
			t.Errorf("uid %d, %v: exit %d, %q, %q", uid, args, got, out, stderr)
		}
	}
	expect(bob, 0, "eyJ", "token", "prod")
	expect(bob, 0, "eyJ", "token") // the only one that is bob's; the default one is not
	expect(bob, 3, "does not exist or is not for this user", "token", "first")
	expect(bob, 0, "prod", "profile", "list")
	expect(alice, 6, "does not serve your user", "token", "prod")
	expect(0, 3, "does not exist or is not for this user", "token", "prod")

	// A renamed profile is for nobody.
	c := o.cspctl("profile", "rename", "prod", "main")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	expect(bob, 3, "does not exist or is not for this user", "token", "main")
	expect(bob, 3, "no profile is for this user", "token")

	// What its users are told of a credential that asks for a passcode by now.
	if err := o.control("POST", "faults", `{"endpoint":"authorize","status":400,"message":"invalid_grant: Invalid refresh token"}`, nil); err != nil {
		t.Fatal(err)
	}
	o.settings(socket + fmt.Sprintf("[profiles.main]\nuids = [%d]\n", bob))
	if out, err := o.cspctl("token", "main", "--fresh").CombinedOutput(); err == nil {
		t.Errorf("the server refuses, and yet: %s", out)
	}
	o.until("the list is read", func() bool {
		_, code, _ := o.as(bob, nil, "cspctl", "token", "main")
		return code != 3
	})
	o.world.agent.stop(syscall.SIGTERM) // what was cached is gone, the refusal is remembered
	if err := o.startAgent(o.env); err != nil {
		t.Fatal(err)
	}
	o.until("the socket is made", func() bool {
		_, code, _ := o.as(bob, nil, "cspctl", "token", "main")
		return code != 6
	})
	expect(bob, 4, "the credential of profile main needs a one-time passcode, which is the owner's to give\ncspctl: hint: ask the administrator of this agent", "token", "main")
}
