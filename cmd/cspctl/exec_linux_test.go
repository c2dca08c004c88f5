package main

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

// The CA of the run is trusted besides those that were trusted before, from a file
// that is in no folder and that nobody can change.
func TestExecHasACAFileInMemory(t *testing.T) {
	f, r := agentOfRuns(t)
	roots := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(roots, []byte("the roots"), 0o600); err != nil {
		t.Fatal(err)
	}
	show := `cat "$SSL_CERT_FILE"; echo "$CA"; echo "$SSL_CERT_FILE"; echo x 2>/dev/null >>"$SSL_CERT_FILE" || echo sealed; cat "$CA" >/dev/null && echo read`
	for _, set := range []string{roots, "", "/no/such"} {
		cmd, errs := process(t, f, "cspctl", "exec", "--for", "nsxt", "--env", "CA=ca-file", "--", "sh", "-c", show)
		cmd.Env = append(cmd.Env, "SSL_CERT_FILE="+set)
		code, out := within(t, cmd)
		before, after, _ := strings.Cut(out, aCA)
		after, found := strings.CutSuffix(after, "\nsealed\nread\n")
		paths := strings.Split(after, "\n")
		if code != 0 || !found || len(paths) != 2 || paths[0] != paths[1] || !strings.HasPrefix(paths[0], "/proc/") {
			t.Errorf("%d: %q, %q", code, out, errs)
		}
		switch {
		case set == roots && before != "the roots\n":
			t.Errorf("before the CA: %q", before)
		case set == "" && !strings.Contains(before, "BEGIN CERTIFICATE") && anyRoots():
			t.Errorf("before the CA: %.100q", before)
		case set == "/no/such" && (before != "\n" || !strings.Contains(errs.String(), "SSL_CERT_FILE can't be read")):
			t.Errorf("%q, %q", before, errs)
		case set != "/no/such" && errs.Len() > 0:
			t.Errorf("%q", errs)
		}
		if asked := <-r.began; !asked.TLS {
			t.Error("no https was asked for")
		}
		<-r.ended
	}
}

// curl and Python's requests go by variables of their own where they are set: the
// CAs that those name stay trusted, and that of the run is added to them.
func TestExecHasACAFileForEachBundle(t *testing.T) {
	f, r := agentOfRuns(t)
	dir := t.TempDir()
	var roots []string
	for _, name := range []string{"one", "two"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("roots "+name), 0o600); err != nil {
			t.Fatal(err)
		}
		roots = append(roots, path)
	}
	one, two, folder := "roots one\n"+aCA, "roots two\n"+aCA, dir
	for _, c := range []struct{ ssl, curl, requests, want string }{
		{roots[0], "", "", one + "|" + one + "|"},
		{roots[0], roots[0], roots[0], one + "|" + one + "|" + one},
		{roots[0], roots[1], roots[0], one + "|" + two + "|" + one},
		{roots[0], "", roots[1], one + "|" + one + "|" + two},
		{roots[0], folder, "", one + "||"}, // to a folder nothing can be added
	} {
		cmd, errs := process(t, f, "cspctl", "exec", "--for", "nsxt", "--", "sh", "-c",
			`for f in "$SSL_CERT_FILE" "$CURL_CA_BUNDLE" "$REQUESTS_CA_BUNDLE"; do echo "|"; test -f "$f" && cat "$f"; done`)
		cmd.Env = append(cmd.Env, "SSL_CERT_FILE="+c.ssl, "CURL_CA_BUNDLE="+c.curl, "REQUESTS_CA_BUNDLE="+c.requests)
		code, out := within(t, cmd)
		if out = strings.TrimPrefix(strings.ReplaceAll(out, "|\n", "|"), "|"); out != c.want || errs.Len() > 0 {
			t.Errorf("%+v: %d, %q, %q", c, code, out, errs)
		}
		<-r.began
		<-r.ended
	}
}

func anyRoots() bool {
	for _, path := range rootFiles {
		if _, err := os.Stat(path); err == nil {
			return true
		}
	}
	return false
}

func TestExecLeavesSSLCertFileAloneWithoutTLS(t *testing.T) {
	f, _ := agentOfRuns(t)
	cmd, errs := process(t, f, "cspctl", "exec", "--for", "vmc", "--", "sh", "-c", `echo "$SSL_CERT_FILE"`)
	cmd.Env = append(cmd.Env, "SSL_CERT_FILE=/as/it/was")
	if code, out := within(t, cmd); code != 0 || out != "/as/it/was\n" || errs.Len() > 0 {
		t.Errorf("%d: %q, %q", code, out, errs)
	}
}

// After a SIGKILL the command is told to end, and the stand-in ends at once.
func TestExecThatIsKilledTakesTheCommandAlong(t *testing.T) {
	f, r := agentOfRuns(t)
	for range 3 {
		cmd, errs := process(t, f, "cspctl", "exec", "--for", "nsxt", "--", "sh", "-c", `trap 'echo told; exit' TERM; echo $$; while :; do sleep 0.05; done`)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(out)
		if _, err := lines.ReadString('\n'); err != nil {
			t.Fatalf("%v: %q", err, errs)
		}
		_ = cmd.Process.Kill()
		rest, _ := io.ReadAll(lines) // until nobody holds the pipe any more
		_ = cmd.Wait()
		if string(rest) != "told\n" {
			t.Errorf("the command said %q", rest)
		}
		<-r.began
		<-r.ended
	}
}

// No secret is among the arguments, where every user of the machine reads them.
func TestExecHasNoSecretInItsArguments(t *testing.T) {
	f, _ := agentOfRuns(t)
	cmd, errs := process(t, f, "cspctl", "exec", "--for", "vmc", "--env", "A=access", "--", "sh", "-c", `tr '\0' ' ' </proc/$$/cmdline; tr '\0' ' ' </proc/$PPID/cmdline; tr '\0' '\n' </proc/$PPID/environ; :`)
	code, out := within(t, cmd)
	if code != 0 || !strings.Contains(out, "cspctl exec --for vmc") || strings.Contains(out, aStandIn) || strings.Contains(out, aToken) {
		t.Errorf("%d: %q, %q", code, out, errs)
	}
}

// onTerminal starts a cspctl that a shell with job control would have started.
func onTerminal(t *testing.T, f *fakeAgent, args ...string) (screen *os.File, wait func() int, pid int) {
	t.Helper()
	cmd, _ := process(t, f, "cspctl", args...)
	cmd.Stderr = nil // the terminal
	screen, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = screen.Close() })
	return screen, func() int { return exitOf(t, cmd.Wait()) }, cmd.Process.Pid
}

// until reads the terminal up to a text.
func until(t *testing.T, screen *os.File, text string) string {
	t.Helper()
	_ = screen.SetReadDeadline(time.Now().Add(30 * time.Second))
	var all []byte
	for b := make([]byte, 1); !strings.Contains(string(all), text); {
		n, err := screen.Read(b)
		all = append(all, b[:n]...)
		if err != nil {
			t.Fatalf("no %q in %q: %v", text, all, err)
		}
	}
	return string(all)
}

// Ctrl-C reaches the command once, from the terminal, and cspctl waits for what
// the command makes of it.
func TestCtrlCReachesTheCommandOnce(t *testing.T) {
	f, r := agentOfRuns(t)
	screen, wait, pid := onTerminal(t, f, "exec", "--for", "vmc", "--", "sh", "-c", `n=0; trap 'n=$((n+1)); echo "int$n"' INT; trap 'echo usr1' USR1; echo up; read x; read x; read x; echo "counted $n"; exit 9`)
	until(t, screen, "up")
	_, _ = screen.WriteString("\x03")
	until(t, screen, "int1")
	if err := syscall.Kill(pid, syscall.SIGUSR1); err != nil { // what cspctl passed on before would come before it
		t.Fatal(err)
	}
	until(t, screen, "usr1")
	_, _ = screen.WriteString("\n\n\n")
	if got := until(t, screen, "counted "); strings.Contains(got, "int2") {
		t.Error(got)
	}
	until(t, screen, "1")
	if code := wait(); code != 9 {
		t.Error(code)
	}
	<-r.began
	<-r.ended
}

// Ctrl-Z stops both, and both go on; meanwhile the run lives.
func TestCtrlZStopsBoth(t *testing.T) {
	f, r := agentOfRuns(t)
	screen, wait, pid := onTerminal(t, f, "exec", "--for", "vmc", "--", "sh", "-c", `echo "up $$."; read x; exit 4`)
	said := until(t, screen, ".")
	child, err := strconv.Atoi(said[strings.Index(said, "up ")+3 : len(said)-1])
	if err != nil {
		t.Fatal(err)
	}
	// A group of a session whose leader it is is orphaned, and not stopped by keys:
	// as the shell does it, then.
	for _, s := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGCONT} {
		if err := syscall.Kill(-pid, s); err != nil {
			t.Fatal(err)
		}
		want := map[syscall.Signal]string{syscall.SIGSTOP: "T", syscall.SIGCONT: "S"}[s]
		for _, p := range []int{pid, child} {
			for deadline := time.Now().Add(20 * time.Second); stateOf(t, p) != want; time.Sleep(5 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("%d is in state %q, want %q", p, stateOf(t, p), want)
				}
			}
		}
	}
	if len(r.ended) > 0 {
		t.Error("the run has ended")
	}
	_, _ = screen.WriteString("\n")
	if code := wait(); code != 4 {
		t.Error(code)
	}
}

// stateOf returns the letter of proc_pid_stat(5).
func stateOf(t *testing.T, pid int) string {
	t.Helper()
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return rest[:1]
}
