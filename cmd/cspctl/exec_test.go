//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/secret"
)

// aStandIn is made at run time, as aToken is.
var aStandIn = "standin-" + strings.Repeat("Ab3", 9)

const aCA = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"

// runs plays the agent's side of POST /v1/runs.
type runs struct {
	began chan ipc.RunRequest // one for each
	lives chan struct{}       // one for each that was granted
	ended chan struct{}       // one for each connection that the client closed

	mu     sync.Mutex
	cut    chan struct{} // closed: the connections end without a word
	finish chan ipc.RunEnd
	refuse *ipc.Error
}

// set refuses the runs to come; nil: no more.
func (r *runs) set(refuse *ipc.Error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuse = refuse
}

// end ends the connections without a word, as a killed agent does, and refuses the
// runs to come if that is not nil.
func (r *runs) end(refuse *ipc.Error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.cut)
	r.cut, r.refuse = make(chan struct{}), refuse
}

func (f *fakeAgent) runs() *runs {
	r := &runs{began: make(chan ipc.RunRequest, 64), lives: make(chan struct{}, 64), ended: make(chan struct{}, 16), cut: make(chan struct{}), finish: make(chan ipc.RunEnd, 1)}
	f.mux.HandleFunc("POST /v1/runs", func(w http.ResponseWriter, req *http.Request) {
		var asked ipc.RunRequest
		if err := json.Unmarshal([]byte(f.body("POST /v1/runs")), &asked); err != nil {
			f.t.Errorf("the request: %v", err)
		}
		r.mu.Lock()
		cut, refuse := r.cut, r.refuse
		r.mu.Unlock()
		r.began <- asked
		if refuse != nil {
			sendJSON(w, 400, refuse)
			return
		}
		run := ipc.Run{ID: "r1", Profile: "prod", Provider: "csp", StandIn: secret.NewWire(aStandIn), URL: "http://127.0.0.1:4242", HostPort: "127.0.0.1:4242",
			EndsAt: noon.Add(24 * time.Hour), Again: secret.NewWire("again-" + aStandIn)}
		if asked.TLS {
			run.URL, run.CA = "https://127.0.0.1:4242", aCA
		}
		w.Header().Set("Content-Type", "application/x-ndjson")
		_ = json.NewEncoder(w).Encode(run)
		_, _ = io.WriteString(w, "\n")
		_ = http.NewResponseController(w).Flush()
		r.lives <- struct{}{}
		select {
		case <-req.Context().Done():
			r.ended <- struct{}{}
		case <-cut:
			panic(http.ErrAbortHandler)
		case end := <-r.finish:
			_ = json.NewEncoder(w).Encode(end)
		}
	})
	return r
}

// agentOfRuns is a fake agent with a table of tools.
func agentOfRuns(t *testing.T) (*fakeAgent, *runs) {
	f := newAgent(t)
	f.token(nil)
	f.json("GET /v1/tools", ipc.Tools{Tools: []ipc.Tool{
		{Name: "vmc", Title: "Terraform vmc", Renews: "never", Env: []ipc.ToolVar{{Name: "API_TOKEN", Value: "{standin}"}, {Name: "CSP_URL", Value: "{url}"}}},
		{Name: "nsxt", TLS: true, Env: []ipc.ToolVar{{Name: "HOST", Value: "{hostport}/authorize"}}},
		{Name: "vcd", Env: []ipc.ToolVar{{Name: "VCD_AUTH_TYPE", Value: "token"}, {Name: "VCD_TOKEN", Value: "{access}"}}, Note: "VCD_URL is yours"},
		{Name: "odd", Env: []ipc.ToolVar{{Name: "VCD_AUTH_TYPE", Value: "it's $HOME\\"}}},
		{Name: "shut", Reason: "nothing points it elsewhere"},
		{Name: "evil", Env: []ipc.ToolVar{{Name: "LD_PRELOAD", Value: "{standin}"}}},
		{Name: "newer", Env: []ipc.ToolVar{{Name: "A", Value: "{unheard-of}"}}},
	}})
	return f, f.runs()
}

// within runs a cspctl to its end.
func within(t *testing.T, cmd *exec.Cmd) (code int, stdout string) {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	code = exitOf(t, cmd.Wait())
	return code, out.String()
}

func TestExecGivesWhatTheToolTakes(t *testing.T) {
	f, r := agentOfRuns(t)
	for _, c := range []struct {
		args []string
		show string // a script
		want string
		run  bool
	}{
		{[]string{"--for", "vmc"}, `echo "$API_TOKEN $CSP_URL"`, aStandIn + " http://127.0.0.1:4242", true},
		{[]string{"prod", "--for", "nsxt"}, `echo "$HOST"`, "127.0.0.1:4242/authorize", true},
		{[]string{"--for=vcd"}, `echo "$VCD_AUTH_TYPE $VCD_TOKEN"`, "token " + aToken, false},
		{nil, `echo "$CSP_AUTH"`, aToken, false},
		{[]string{"--env", "A=access", "--env", "S=standin", "--env=P=hostport"}, `echo "$A $S $P"`, aToken + " " + aStandIn + " 127.0.0.1:4242", true},
		{[]string{"--for", "vcd", "--env", "VCD_TOKEN=url"}, `echo "$VCD_TOKEN"`, "http://127.0.0.1:4242", true},
		{[]string{"--for", "odd"}, `echo "$VCD_AUTH_TYPE"`, `it's $HOME\`, false},
	} {
		cmd, errs := process(t, f, "cspctl", append(append([]string{"exec"}, c.args...), "--", "sh", "-c", c.show)...)
		code, out := within(t, cmd)
		if code != 0 || out != c.want+"\n" || (errs.Len() > 0 && runtime.GOOS == "linux") {
			t.Errorf("%q: %d, %q, %q", c.args, code, out, errs)
		}
		if c.run {
			<-r.began
			<-r.ended
		}
	}
	if len(r.began) > 0 {
		t.Error("a run was made for an access token")
	}
}

func TestExecAsksForAYoungToken(t *testing.T) {
	f, _ := agentOfRuns(t)
	cmd, _ := process(t, f, "cspctl", "exec", "prod", "--for", "vcd", "--", "true")
	if code, _ := within(t, cmd); code != 0 {
		t.Error(code)
	}
	if asked := strings.Join(f.asked(), "\n"); !strings.Contains(asked, "/v1/token?profile=prod&max_age=5m") {
		t.Error(asked)
	}
}

func TestExecEndsAsTheCommandDoes(t *testing.T) {
	f, _ := agentOfRuns(t)
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	noInterpreter := filepath.Join(dir, "script")
	if err := os.WriteFile(noInterpreter, []byte("#!/nowhere/at/all\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	noFormat := filepath.Join(dir, "noformat")
	if err := os.WriteFile(noFormat, []byte("exit $1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		cmd  []string
		code int
		text string
	}{
		{[]string{"sh", "-c", "exit 0"}, 0, ""},
		{[]string{"sh", "-c", "exit 3"}, 3, ""},
		{[]string{"sh", "-c", "exit 255"}, 255, ""},
		{[]string{"sh", "-c", "kill -9 $$"}, 137, ""},
		{[]string{"sh", "-c", "kill -15 $$"}, 143, ""},
		{[]string{"no-such-program-anywhere"}, 127, `there is no program "no-such-program-anyw..." on PATH`},
		{[]string{"/no/such"}, 127, `there is no program "/no/such"`},
		{[]string{plain}, 126, "permission denied"},
		{[]string{dir}, 126, "is a directory"},
		{[]string{noInterpreter}, 127, "can't be run"}, // as shells have it
		{[]string{noFormat, "4"}, 4, ""},
	} {
		for _, tool := range []string{"vmc", "vcd"} {
			cmd, errs := process(t, f, "cspctl", append([]string{"exec", "--for", tool, "--"}, c.cmd...)...)
			code, out := within(t, cmd)
			if tool == "vcd" && code == -1 { // in place: the signal is cspctl's own end
				code = 128 + int(cmd.ProcessState.Sys().(syscall.WaitStatus).Signal())
			}
			if code != c.code || out != "" || !strings.Contains(errs.String(), c.text) || c.text == "" && errs.Len() > 0 {
				t.Errorf("%s %q: %d, want %d; %q, %q", tool, c.cmd, code, c.code, out, errs)
			}
		}
	}
}

func TestExecFailsBeforeTheStart(t *testing.T) {
	f, r := agentOfRuns(t)
	r.set(&ipc.Error{Code: ipc.CodeLocked, Message: "the agent is locked", Hint: "cspctl unlock"})
	for _, c := range []struct {
		args string
		code int
		text string
	}{
		{"--for vmc -- touch X", 8, "the agent is locked"},
		{"--for vmcc -- touch X", 2, "did you mean: --for vmc"},
		{"--for shut -- touch X", 2, "nothing points it elsewhere"},
		{"--for evil -- touch X", 1, "LD_PRELOAD"},
		{"--for newer -- touch X", 1, "replace the agent"},
		{"--for vmc", 2, "needs a command behind --"},
		{"--for vmc touch", 2, "needs a command behind --"},
		{"prod --for vmc --", 2, "needs a command behind --"},
		{"a b -- touch X", 2, "at most 1"},
		{"--for list -- touch X", 2, "runs nothing"},
		{"-o json -- touch X", 2, "-o goes with --for list"},
		{"--env A -- touch X", 2, "not NAME=WHAT"},
		{"--env A=acess -- touch X", 2, "did you mean: --env A=access"},
		{"--env 1A=access -- touch X", 2, "not a name that a shell takes"},
		{"--lifetime soon --for vmc -- touch X", 2, "not a duration"},
		{"--lifetime 1h -- touch X", 2, "none is needed"},
		{"--for ../x -- touch X", 2, "not the name of a tool"},
	} {
		dir := t.TempDir()
		cmd, errs := process(t, f, "cspctl", append([]string{"exec"}, strings.Fields(c.args)...)...)
		cmd.Dir = dir
		code, out := within(t, cmd)
		if code != c.code || out != "" || !strings.Contains(errs.String(), c.text) {
			t.Errorf("%s: %d, want %d; %q, %q", c.args, code, c.code, out, errs)
		}
		if _, err := os.Stat(filepath.Join(dir, "X")); err == nil {
			t.Errorf("%s: the command ran", c.args)
		}
	}
}

func TestExecKeepsProxiesAwayFromTheEndpoint(t *testing.T) {
	f, _ := agentOfRuns(t)
	for _, c := range []struct{ upper, lower, want string }{
		{"", "", "127.0.0.1,localhost 127.0.0.1,localhost"},
		{"a.example", "b.example", "a.example,127.0.0.1,localhost b.example,127.0.0.1,localhost"},
		{"", "b.example", "b.example,127.0.0.1,localhost b.example,127.0.0.1,localhost"},
		{"*", "", "* *"},
	} {
		cmd, errs := process(t, f, "cspctl", "exec", "--for", "vmc", "--", "sh", "-c", `echo "$NO_PROXY $no_proxy"`)
		cmd.Env = append(cmd.Env, "NO_PROXY="+c.upper, "no_proxy="+c.lower)
		if code, out := within(t, cmd); code != 0 || out != c.want+"\n" {
			t.Errorf("%q, %q: %d, %q, %q", c.upper, c.lower, code, out, errs)
		}
	}
}

// What cspctl was given goes to the command, and nothing of cspctl's own.
func TestExecPassesDescriptorsOn(t *testing.T) {
	f, _ := agentOfRuns(t)
	cmd, errs := process(t, f, "cspctl", "exec", "--for", "nsxt", "--", "sh", "-c", "cat; cat <&3; ls /dev/fd/ | wc -l")
	before, _ := process(t, f, "sh", "-c", "ls /dev/fd/ | wc -l")
	cmd.Stdin = strings.NewReader("in ")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(w, "three ")
	_ = w.Close()
	cmd.ExtraFiles, before.ExtraFiles = []*os.File{r}, []*os.File{r}
	code, out := within(t, cmd)
	_, count := within(t, before)
	if code != 0 || out != "in three "+count {
		t.Errorf("%d: %q, and without cspctl %q; %q", code, out, count, errs)
	}
}

func TestExecPassesSignalsOn(t *testing.T) {
	f, r := agentOfRuns(t)
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGINT, syscall.SIGQUIT} {
		cmd, errs := process(t, f, "cspctl", "exec", "--for", "vmc", "--", "sh", "-c", `trap 'exit 7' TERM HUP USR1 USR2 INT QUIT; echo up; while :; do sleep 0.05; done`)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no terminal delivers them
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		_, _ = io.ReadFull(out, make([]byte, 3))
		_ = cmd.Process.Signal(s)
		if code := exitOf(t, cmd.Wait()); code != 7 {
			t.Errorf("%v: %d, %q", s, code, errs)
		}
		<-r.began
		<-r.ended
	}
}

// A signal that is ignored, as nohup has it, is ignored by the command, too.
func TestExecLeavesIgnoredSignalsIgnored(t *testing.T) {
	f, _ := agentOfRuns(t)
	cmd, errs := process(t, f, "sh", "-c", `trap '' HUP; exec cspctl exec --for vmc -- sh -c 'kill -HUP $$; echo alive'`)
	if code, out := within(t, cmd); code != 0 || out != "alive\n" {
		t.Errorf("%d, %q, %q", code, out, errs)
	}
}

// T: an upgrade of the agent, or its kill -9, is none of the command's business.
func TestExecGoesOnWithTheNextAgent(t *testing.T) {
	f, r := agentOfRuns(t)
	cmd, errs := process(t, f, "cspctl", "exec", "prod", "--for", "vmc", "--lifetime", "2h", "--", "cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	first := <-r.began
	if first.Profile != "prod" || first.Lifetime != "2h" || !first.Again.IsZero() {
		t.Errorf("%+v", first)
	}
	r.end(nil)
	again := <-r.began
	if again.Again.Reveal() != "again-"+aStandIn || again.Profile != "prod" || again.TLS {
		t.Errorf("%+v", again)
	}
	_ = in.Close()
	if code := exitOf(t, cmd.Wait()); code != 0 || errs.Len() > 0 {
		t.Errorf("%d, %q", code, errs)
	}
	<-r.ended
}

func TestExecSaysOnceThatTheStandInHasEnded(t *testing.T) {
	f, r := agentOfRuns(t)
	cmd, errs := process(t, f, "cspctl", "exec", "--for", "vmc", "--", "cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 1)
	pipeR, pipeW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = pipeW
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = pipeW.Close()
	<-r.began
	r.finish <- ipc.RunEnd{Ended: ipc.RunEndedLogout, Message: "the profile was logged out"}
	go func() {
		b := make([]byte, 4096)
		n, _ := pipeR.Read(b)
		said <- string(b[:n])
	}()
	if got := <-said; !strings.Contains(got, "cspctl: warning: the stand-in has ended: the profile was logged out") {
		t.Errorf("%q", got)
	}
	_ = in.Close()
	if code := exitOf(t, cmd.Wait()); code != 0 || len(r.began) > 0 {
		t.Errorf("%d, %q", code, errs)
	}
}

// started starts a command, and returns what ends its stdin.
func started(t *testing.T, cmd *exec.Cmd) io.WriteCloser {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func TestExecDoesNotInsistOnARunThatIsRefused(t *testing.T) {
	f, r := agentOfRuns(t)
	cmd, errs := process(t, f, "cspctl", "exec", "--for", "vmc", "--", "sh", "-c", "read x; exit 5")
	in := started(t, cmd)
	<-r.began
	r.end(&ipc.Error{Code: ipc.CodeNoSuchProfile, Message: "there is no profile prod"})
	<-r.began
	time.Sleep(4 * firstPause) // nothing can be waited for: it must not come
	_ = in.Close()
	if code := exitOf(t, cmd.Wait()); code != 5 || strings.Count(errs.String(), "warning:") != 1 || !strings.Contains(errs.String(), "there is no profile prod") || len(r.began) > 0 {
		t.Errorf("%d, %q, %d more requests", code, errs, len(r.began))
	}
}

// What a person can mend is said once, and tried again.
func TestExecWaitsForALogin(t *testing.T) {
	f, r := agentOfRuns(t)
	cmd, errs := process(t, f, "cspctl", "exec", "--for", "vmc", "--", "cat")
	in := started(t, cmd)
	<-r.began
	r.end(&ipc.Error{Code: ipc.CodeNotLoggedIn, Message: "profile prod has no secret stored"})
	<-r.began
	<-r.began
	r.set(nil)
	<-r.lives // the first one, and the one that goes on
	<-r.lives
	_ = in.Close()
	if code := exitOf(t, cmd.Wait()); code != 0 || strings.Count(errs.String(), "warning:") != 1 || !strings.Contains(errs.String(), "has no secret stored") {
		t.Errorf("%d, %q", code, errs)
	}
	<-r.ended
}

func TestToolList(t *testing.T) {
	f, _ := agentOfRuns(t)
	r := shell{agent: f}.run(t, "exec", "--for", "list")
	r.want(t, 0)
	for _, want := range []string{"TOOL ", "vmc ", "API_TOKEN CSP_URL", "vcd: VCD_URL is yours", "shut: not served: nothing points it elsewhere"} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("no %q in %s", want, r.stdout)
		}
	}
	r = shell{agent: f}.run(t, "exec", "--for", "list", "-o", "json")
	var got struct {
		Schema int
		Tools  []ipc.Tool
	}
	if err := json.Unmarshal([]byte(r.stdout), &got); err != nil || got.Schema != 1 || len(got.Tools) != 7 {
		t.Errorf("%v: %s", err, r.stdout)
	}
}
