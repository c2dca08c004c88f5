package e2e_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// executed is a cspctl exec whose command does a line of shell for each line that
// it is sent.
type executed struct {
	*exec.Cmd
	in    *os.File
	out   *bufio.Reader
	errs  *bytes.Buffer
	child int
}

// exec starts a shell for a tool.
func (w *world) exec(t *testing.T, tool string) *executed {
	t.Helper()
	r, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	e := &executed{Cmd: w.cspctl("exec", "prod", "--for", tool, "--", "sh", "-c", `echo $$; while read -r line; do eval "$line"; done`), in: in, errs: &bytes.Buffer{}}
	e.Stdin, e.Stderr = r, e.errs
	out, err := e.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	e.out = bufio.NewReader(out)
	if err := e.Start(); err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
	t.Cleanup(func() { _ = in.Close(); _ = e.Process.Kill() })
	if e.child, err = strconv.Atoi(e.line(t)); err != nil {
		t.Fatalf("%v: %s", err, e.errs)
	}
	return e
}

func (e *executed) line(t *testing.T) string {
	t.Helper()
	s, err := e.out.ReadString('\n')
	if err != nil {
		t.Fatalf("%v: %q, %s", err, s, e.errs)
	}
	return strings.TrimSuffix(s, "\n")
}

// say has the command run a line, and returns the line that it prints.
func (e *executed) say(t *testing.T, command string) string {
	t.Helper()
	if _, err := e.in.WriteString(command + "\n"); err != nil {
		t.Fatal(err)
	}
	return e.line(t)
}

const exchangeByCurl = `curl -sS --max-time 20 "$CSP_URL` + exchangePath + `" -d refresh_token="$API_TOKEN" 2>&1; echo`

// exchanges reports whether the command's stand-in is worth a token.
func (e *executed) exchanges(t *testing.T) bool {
	t.Helper()
	answer := e.say(t, exchangeByCurl)
	if !strings.HasPrefix(answer, "{") { // curl's own words come in one line
		return false
	}
	return strings.Contains(answer, `"access_token":"eyJ`)
}

// held reports what is left of runs: whether the agent listens anywhere but on
// its socket.
func (w *world) listens(t *testing.T, hostPort string) bool {
	t.Helper()
	_, port, _ := strings.Cut(hostPort, ":")
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile("/proc/self/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(b), fmt.Sprintf(" 0100007F:%04X 00000000:0000 0A ", n))
}

// P1: whatever ends first, there is no process, file, port or stand-in left that
// was of the run.
func TestP1ExecLeavesNothingBehind(t *testing.T) {
	needCurl(t)
	t.Parallel()
	w := served(t, []string{"prod"}, nil)
	w.mustLogin(t)
	before := w.files(t)
	for how, end := range map[string]func(e *executed){
		"its end":            func(e *executed) { _ = e.in.Close() },
		"SIGKILL of it":      func(e *executed) { _ = syscall.Kill(e.child, syscall.SIGKILL) },
		"SIGTERM of cspctl":  func(e *executed) { _ = e.Process.Signal(syscall.SIGTERM) },
		"SIGKILL of cspctl":  func(e *executed) { _ = e.Process.Kill() },
		"SIGHUP of the both": func(e *executed) { _ = e.Process.Signal(syscall.SIGHUP); _ = syscall.Kill(e.child, syscall.SIGHUP) },
	} {
		e := w.exec(t, "terraform-vmc")
		hostPort := strings.TrimPrefix(e.say(t, `echo "$CSP_URL"`), "http://")
		if !e.exchanges(t) || !w.listens(t, hostPort) {
			t.Fatalf("before %s there is no endpoint: %s", how, e.errs)
		}
		end(e)
		_ = e.Wait()
		if err := within(10*time.Second, func() error {
			switch {
			case syscall.Kill(e.child, 0) == nil:
				return fmt.Errorf("the command goes on")
			case w.listens(t, hostPort):
				return fmt.Errorf("the endpoint is there")
			}
			return nil
		}); err != nil {
			t.Errorf("after %s: %v", how, err)
		}
		if after := w.files(t); after != before {
			t.Errorf("after %s there are other files:\n%s\nbefore:\n%s", how, after, before)
		}
	}
}

// files lists what is in the home and the runtime folder.
func (w *world) files(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("find", filepath.Join(w.dir, "home"), w.run, "-not", "-name", "audit.jsonl*", "-not", "-name", ".*.tmp").Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// An agent that is killed is started again by cspctl, and the command notices
// nothing: its stand-in and its port are what they were.
func TestExecOutlivesTheAgent(t *testing.T) {
	needCurl(t)
	t.Parallel()
	w := worldFor(t)
	if err := w.startSim([]string{"prod"}, nil); err != nil {
		t.Fatal(err)
	}
	w.env = append(w.env, "CSP_AGENT_STORE_KEY_FILE="+storeKey(t, w.dir))
	if err := w.startAgent(w.env); err != nil {
		t.Fatal(err)
	}
	if out, err := w.login("prod", "prod.token", "--store", "file"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	e := w.exec(t, "terraform-vmc")
	if !e.exchanges(t) {
		t.Fatal("no exchange")
	}
	for range 2 {
		for _, pid := range agentsOf(w.run) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		if err := within(20*time.Second, func() error {
			if !e.exchanges(t) {
				return errors.New("no exchange since the agent was killed")
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	_ = e.in.Close()
	if err := e.Wait(); err != nil || e.errs.Len() > 0 {
		t.Errorf("%v: %q", err, e.errs)
	}
}

// P1: nothing that the command has, or that is seen of it, is of the API token.
func TestP1ExecGivesNothingOfTheAPIToken(t *testing.T) {
	needCurl(t)
	t.Parallel()
	w := served(t, []string{"prod"}, nil)
	w.mustLogin(t)
	api := readSecret(t, w, "prod")
	for _, tool := range []string{"terraform-vmc", "terraform-nsxt"} {
		e := w.exec(t, tool)
		for _, pid := range []int{e.child, e.Process.Pid} {
			for _, name := range []string{"environ", "cmdline"} {
				b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
				if err != nil || len(b) == 0 || remains(b, api) != "" {
					t.Errorf("%s of %d: %d bytes, %v, %s of the API token", name, pid, len(b), err, remains(b, api))
				}
			}
			fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
			if err != nil || len(fds) < 3 {
				t.Errorf("%q, %v", fds, err)
			}
			for _, fd := range fds {
				if info, err := os.Stat(fd); err == nil && info.Mode().IsRegular() {
					if b, err := os.ReadFile(fd); err == nil && remains(b, api) != "" {
						t.Errorf("a file of %d holds %s of the API token", pid, remains(b, api))
					}
				}
			}
		}
		if tool == "terraform-vmc" {
			if answer := e.say(t, exchangeByCurl); remains([]byte(answer), api) != "" || !strings.Contains(answer, "eyJ") {
				t.Errorf("the answer: %s", answer)
			}
		}
		_ = e.in.Close()
		if err := e.Wait(); err != nil {
			t.Errorf("%v: %s", err, e.errs)
		}
	}
}

// In a terminal, Ctrl-C and Ctrl-Z are the command's, and fg brings it back.
func TestExecInATerminal(t *testing.T) {
	t.Parallel()
	w := served(t, []string{"prod"}, nil)
	w.mustLogin(t)
	x := newTmux(t, w, 100, 30)
	x.enter(`cspctl exec --for terraform-vmc -- sh -c 'trap "echo got it; exit 7" INT; echo "up:"; while :; do sleep 0.1; done'; echo "code $?"`)
	x.waitFor("\nup:")
	x.press("C-c")
	x.waitFor("code 7")
	x.run("clear-history")
	x.enter("clear; cspctl exec --for terraform-vmc -- cat")
	x.until("nothing but cat", func(s string) bool { return !strings.Contains(s, "code") })
	x.enter("one")
	x.waitFor("one\none")
	x.press("C-z")
	x.waitFor("Stopped")
	x.enter("fg")
	x.enter("two")
	x.waitFor("two\ntwo")
	x.press("C-d")
	x.enter(`echo "and code $?"`)
	x.waitFor("and code 0")
}

// Whoever signals cspctl and its group, as timeout(1) and build servers do, has
// the command signalled once, and what it started too.
func TestExecPassesASignalOnOnce(t *testing.T) {
	t.Parallel()
	w := served(t, []string{"prod"}, nil)
	w.mustLogin(t)
	c := w.cspctl("exec", "prod", "--for", "terraform-vmc", "--", "sh", "-c",
		`trap 'echo term' TERM; trap 'echo usr1; exit 7' USR1; (trap 'echo below' TERM; echo up; while :; do sleep 0.05; done) & wait; while :; do wait; done`)
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no terminal, a group of its own
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill() })
	lines := bufio.NewScanner(out)
	next := func() string {
		if !lines.Scan() {
			t.Fatalf("it has ended: %v", lines.Err())
		}
		return lines.Text()
	}
	if up := next(); up != "up" {
		t.Fatal(up)
	}
	pid := c.Process.Pid
	if err := errors.Join(syscall.Kill(pid, syscall.SIGTERM), syscall.Kill(-pid, syscall.SIGTERM)); err != nil {
		t.Fatal(err)
	}
	got := map[string]int{next(): 1}
	got[next()]++
	if got["term"] != 1 || got["below"] != 1 {
		t.Errorf("%v", got)
	}
	if err := syscall.Kill(pid, syscall.SIGUSR1); err != nil { // whatever came before it comes first
		t.Fatal(err)
	}
	if after := next(); after != "usr1" {
		t.Errorf("after both had it: %s", after)
	}
	_ = c.Wait()
	if code := c.ProcessState.ExitCode(); code != 7 {
		t.Errorf("exit %d", code)
	}
}

// P1: while there is no agent, nobody else's program can take the port of a run,
// and be sent its stand-in.
func TestP1PortOfARunStaysItsUsers(t *testing.T) {
	needCurl(t)
	if os.Geteuid() != 0 {
		t.Skip("needs root, to be another user")
	}
	t.Parallel()
	w := served(t, []string{"prod"}, nil)
	w.mustLogin(t)
	w.env = append(w.env, "CSPCTL_AUTOSTART=0")
	e := w.exec(t, "terraform-vmc")
	hostPort := strings.TrimPrefix(e.say(t, `echo "$CSP_URL"`), "http://")
	_, port, _ := strings.Cut(hostPort, ":")
	w.agent.stop(syscall.SIGKILL)
	if bindAs(t, stranger, port) == nil {
		t.Error("another user took the port")
	}
	_ = e.in.Close()
	_ = e.Wait()
	if err := bindAs(t, stranger, port); err != nil {
		t.Errorf("after the run, nobody can have it: %v", err)
	}
}

// bindAs binds a port with every option that may help, as another user would: the
// kernel goes by the fsuid of the thread that makes the socket (credentials(7)).
func bindAs(t *testing.T, uid int, port string) error {
	t.Helper()
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	bound := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine
		_, _ = unix.SetfsuidRetUid(uid)
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			err = errors.Join(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1), unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1),
				unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: n}))
			_ = unix.Close(fd)
		}
		bound <- err
	}()
	return <-bound
}
