//go:build linux

package e2e_test

import (
	"errors"
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

// observers is a world with a socket for others, in a folder that is open to
// them; it runs commands as another user.
type observers struct {
	*world
	t      *testing.T
	dir    string // of the socket
	socket string
}

func newObservers(t *testing.T) *observers {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to be two users")
	}
	w := worldFor(t)
	open, err := os.MkdirTemp("", "o")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(open) })
	o := &observers{world: w, t: t, dir: filepath.Join(open, "observe")}
	o.socket = filepath.Join(o.dir, "observe.sock")
	if err := errors.Join(os.Chmod(open, 0o755), os.Chmod(bin, 0o755), os.MkdirAll(w.dir+"/home/.config/cspctl", 0o700), w.startSim([]string{"prod"}, nil)); err != nil {
		t.Fatal(err)
	}
	return o
}

// settings writes the settings with further sockets, as TOML.
func (o *observers) settings(sockets string) {
	o.t.Helper()
	text := "store = \"memory\"\n" + strings.ReplaceAll(sockets, "SOCKET", o.socket)
	if err := os.WriteFile(o.world.dir+"/home/.config/cspctl/config.toml", []byte(text), 0o600); err != nil {
		o.t.Fatal(err)
	}
	if o.agent != nil {
		_ = o.agent.Process.Signal(syscall.SIGHUP)
	}
}

// as runs a command as another user, in the further groups.
func (o *observers) as(uid uint32, groups []uint32, args ...string) (stdout string, code int, stderr string) {
	o.t.Helper()
	c := exec.CommandContext(o.t.Context(), args[0], args[1:]...)
	if args[0] == "cspctl" {
		c.Path, c.Err = filepath.Join(bin, "cspctl"), nil
	}
	c.Dir, c.Env = "/", []string{"HOME=/nonexistent", "PATH=" + os.Getenv("PATH"), "CSP_AGENT_SOCK=" + o.socket, "CSP_AGENT_UID=0"}
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid, Groups: groups}}
	var out, bad strings.Builder
	c.Stdout, c.Stderr = &out, &bad
	if err := c.Run(); c.ProcessState == nil {
		o.t.Fatal(err)
	}
	return out.String(), c.ProcessState.ExitCode(), bad.String()
}

// until waits for what the agent does by itself, once a second.
func (o *observers) until(what string, f func() bool) {
	o.t.Helper()
	err := within(20*time.Second, func() error {
		if f() {
			return nil
		}
		return errors.New(what)
	})
	if err != nil {
		log, _ := os.ReadFile(o.world.dir + "/agent.log")
		o.t.Fatalf("not so: %v\n%s", err, log)
	}
}

func (o *observers) logSays(text string) bool {
	b, _ := os.ReadFile(o.world.dir + "/agent.log")
	return strings.Contains(string(b), text)
}

func exists(path string) bool { _, err := os.Lstat(path); return err == nil }

// metrics is what curl gets on a socket, as the owner.
func (o *observers) metrics(socket string) string {
	o.t.Helper()
	out, err := exec.CommandContext(o.t.Context(), "curl", "-sS", "--max-time", "20", "--unix-socket", socket, "http://agent/metrics").CombinedOutput()
	if err != nil {
		o.t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

// A monitoring user sees expiry, status and metrics through a socket of its
// own, and nothing that it could use.
func TestP7ObserversOfAnotherUser(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("needs curl (Debian package curl)")
	}
	const listed, unlisted, team = stranger, stranger - 1, 4242
	o := newObservers(t)
	o.settings(fmt.Sprintf("[[sockets]]\npath = \"SOCKET\"\nrole = \"observe\"\nuids = [%d]\n", listed))

	// Without its folder there is no such socket, and the owner is served.
	if err := o.startAgent(o.env); err != nil {
		t.Fatal(err)
	}
	if out, err := o.login("prod", "prod.token"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if !o.logSays("a socket of the settings can't be made") || !o.logSays("sudo install -d -m 755 -o 0 "+o.dir) {
		t.Error("the log does not say what is to be done")
	}
	if err := os.Mkdir(o.dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(o.dir, 0o777); err != nil {
		t.Fatal(err)
	}
	o.until("others may write to the folder", func() bool { return o.logSays("chmod 755 it") })
	if exists(o.socket) {
		t.Error("the socket is in a folder that others may write to")
	}
	if err := os.Chmod(o.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	o.until("the socket is made", func() bool { return exists(o.socket) })

	before, err := o.exchanges()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		uid  uint32
		args []string
		code int
		want string
	}{
		{listed, []string{"cspctl", "expiry", "-o", "nagios"}, 0, `^CSP API TOKENS OK: 1 profile, the next: prod expires .* \| 'prod'=\d+s;`},
		{listed, []string{"cspctl", "expiry", "-o", "prometheus"}, 0, `csp_api_token_refused\{profile="prod",provider="csp"\} 0\n`},
		{listed, []string{"cspctl", "status", "-o", "json"}, 0, `"state": "(ready|idle)"`},
		{listed, []string{"curl", "-sS", "--max-time", "20", "--unix-socket", o.socket, "http://agent/metrics"}, 0,
			`csp_api_token_expires_in_seconds\{profile="prod",provider="csp"\} \d`},
		{listed, []string{"curl", "-sSi", "--max-time", "1", "--unix-socket", o.socket, "http://agent/v1/events"}, 28, // it has no end
			`^HTTP/1.1 200 OK\r\n`},
		{listed, []string{"cspctl", "token", "prod"}, 6, `this socket is for monitoring`},
		{listed, []string{"cspctl", "inspect", "prod"}, 6, `this socket is for monitoring`},
		{listed, []string{"cspctl", "profile", "list"}, 6, `this socket is for monitoring`},
		{listed, []string{"cspctl", "logout", "prod"}, 6, `this socket is for monitoring`},
		{listed, []string{"cspctl", "login", "x", "--token-file", "/dev/null"}, 6, `this socket is for monitoring`},
		{listed, []string{"curl", "-sS", "--max-time", "20", "--unix-socket", o.socket, "-X", "PUT", "-d", `{"secret":"x"}`, "http://agent/v1/profiles/x"}, 0, `"code":"not_allowed"`},
		{unlisted, []string{"cspctl", "expiry", "-o", "nagios"}, 3, `^CSP API TOKENS UNKNOWN: this agent does not serve your user here`},
		{unlisted, []string{"curl", "-sS", "--max-time", "20", "--unix-socket", o.socket, "http://agent/metrics"}, 0, `"code":"not_allowed"`},
	} {
		out, code, stderr := o.as(c.uid, nil, c.args...)
		if code != c.code || !regexp.MustCompile(c.want).MatchString(out+stderr) || code == 6 && out != "" {
			t.Errorf("uid %d, %v: exit %d, %q, %q", c.uid, c.args, code, out, stderr)
		}
	}
	if after, err := o.exchanges(); err != nil || after != before { // P5
		t.Errorf("observers caused exchanges: %d, then %d, %v", before, after, err)
	}
	main := filepath.Join(o.run, "csp-agent", "agent.sock")
	page := o.metrics(main)
	for _, want := range []string{
		`csp_agent_refused_requests_total{reason="role",uid="` + fmt.Sprint(listed) + `"} 6`,
		`csp_agent_refused_requests_total{reason="peer",uid="` + fmt.Sprint(unlisted) + `"} 2`,
		`csp_agent_profile_state{profile="prod",provider="csp",state="refused"} 0`,
		`csp_agent_store_state{state="ready",store="memory"} 1`,
	} {
		if !strings.Contains(page, want+"\n") {
			t.Errorf("the metrics have no %s:\n%s", want, page)
		}
	}

	// Changed settings: by group, with another mode; the listed uid is out.
	o.settings(fmt.Sprintf("[[sockets]]\npath = \"SOCKET\"\nrole = \"observe\"\ngids = [%d]\nmode = \"0660\"\ngroup = %d\n", team, team))
	o.until("the socket is the group's", func() bool {
		info, err := os.Lstat(o.socket)
		return err == nil && info.Mode().Perm() == 0o660 && info.Sys().(*syscall.Stat_t).Gid == team
	})
	if out, code, stderr := o.as(unlisted, []uint32{7, team}, "cspctl", "expiry", "-o", "nagios"); code != 0 {
		t.Errorf("a member of the group: exit %d, %q, %q", code, out, stderr)
	}
	if out, code, _ := o.as(listed, nil, "cspctl", "expiry", "-o", "nagios"); code != 3 || !strings.Contains(out, "no permission") {
		t.Errorf("not listed any more: exit %d, %q", code, out)
	}

	// A socket that somebody removed is made again; without its settings it goes.
	if err := os.Remove(o.socket); err != nil {
		t.Fatal(err)
	}
	o.until("the socket is made again", func() bool { return exists(o.socket) })
	o.settings("")
	o.until("the socket is gone", func() bool { return !exists(o.socket) })
	if out, err := o.login("prod", "prod.token"); err != nil {
		t.Errorf("the owner: %v: %s", err, out)
	}
}
