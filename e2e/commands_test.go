//go:build unix

package e2e_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// The commands of the scripts, beside those of testscript.

// sim ACCOUNT ... [-- FLAG ...] starts a simulator and sets $SIM to its URL. The
// API token of each account is in ACCOUNT.token.
func startSim(ts *testscript.TestScript, neg bool, args []string) {
	accounts, flags := args, []string(nil)
	for i, a := range args {
		if a == "--" {
			accounts, flags = args[:i], args[i+1:]
			break
		}
	}
	w := worldOf(ts)
	ts.Check(w.startSim(accounts, flags))
	ts.Setenv("SIM", w.url)
}

// fault JSON makes the simulator misbehave.
func fault(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(worldOf(ts).control("POST", "faults", strings.Join(args, " "), nil))
}

// control METHOD PATH JSON calls the simulator's control plane.
func control(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(worldOf(ts).control(args[0], args[1], strings.Join(args[2:], " "), nil))
}

// nofault ends all faults, and lets go of the requests that hang.
func noFault(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(worldOf(ts).control("DELETE", "faults", "", nil))
	ts.Check(worldOf(ts).control("POST", "release", "", nil))
}

// arrived N waits until N exchanges have arrived at the simulator.
func arrived(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(worldOf(ts).control("GET", "wait?timeout=20s&exchanges="+args[0], "", nil))
}

// exchanges N checks how many exchanges have arrived at the simulator.
func exchanges(ts *testscript.TestScript, neg bool, args []string) {
	n, err := worldOf(ts).exchanges()
	ts.Check(err)
	if want, err := strconv.Atoi(args[0]); err != nil || (n == want) == neg {
		ts.Fatalf("%d exchanges have arrived", n)
	}
}

// agent starts an agent with the environment of the script and waits until it
// answers. Its log is in agent.log.
func startAgent(ts *testscript.TestScript, neg bool, args []string) {
	var env []string
	for _, name := range environment {
		env = append(env, name+"="+ts.Getenv(name))
	}
	ts.Check(worldOf(ts).startAgent(env))
}

// environment is what an agent of a script gets.
var environment = []string{
	"HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "PATH", "LANG",
	"DBUS_SESSION_BUS_ADDRESS", "CSP_AGENT_SOCK", "CSP_AGENT_CONFIG", "CSP_AGENT_STORE_KEY_FILE",
	"CREDENTIALS_DIRECTORY", "HTTPS_PROXY", "GORACE", "GODEBUG", "SSL_CERT_FILE", "DISPLAY",
}

// stopagent [kill] ends the agent by SIGTERM, or by SIGKILL.
func stopAgent(ts *testscript.TestScript, neg bool, args []string) {
	w, sig := worldOf(ts), syscall.SIGTERM
	if len(args) > 0 && args[0] == "kill" {
		sig = syscall.SIGKILL
	}
	w.agent.stop(sig)
	if code := w.agent.ProcessState.ExitCode(); sig == syscall.SIGTERM && code != 0 {
		ts.Fatalf("the agent ended with %d", code)
	}
	w.agent = nil
}

// hangup sends the agent a SIGHUP.
func hangup(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(worldOf(ts).agent.Process.Signal(syscall.SIGHUP))
}

// noleak [FILE] checks that no API token is in any file below the work folder,
// other than the token files themselves. It fails if no API token was made.
func noLeak(ts *testscript.TestScript, neg bool, args []string) {
	w := worldOf(ts)
	files, err := filepath.Glob(filepath.Join(w.dir, "*.token"))
	ts.Check(err)
	if len(files) == 0 {
		ts.Fatalf("there is no API token to look for")
	}
	ts.Check(filepath.WalkDir(w.dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.HasSuffix(p, ".token") {
			return err
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		for _, f := range files {
			if found := leak(b, f); found != "" {
				ts.Fatalf("%s holds the API token of %s", p, found)
			}
		}
		return nil
	}))
}

// leak names the token file whose content, or a long piece of it, is in b.
func leak(b []byte, tokenFile string) string {
	token, err := os.ReadFile(tokenFile)
	token = bytes.TrimSpace(token)
	if err != nil || len(token) < 32 {
		return tokenFile + " (which can't be read)"
	}
	if bytes.Contains(b, token[:12]) || bytes.Contains(b, token[len(token)-12:]) {
		return tokenFile
	}
	return ""
}

// words FILE TEXT waits until a file that another process writes has the text.
func words(ts *testscript.TestScript, neg bool, args []string) {
	file := path(ts, args[0])
	err := within(10*time.Second, func() error {
		b, err := os.ReadFile(file)
		if err == nil && bytes.Contains(b, []byte(args[1])) {
			return nil
		}
		return &fs.PathError{Op: "wait for words in", Path: file, Err: fs.ErrNotExist}
	})
	ts.Check(err)
}

// rewrite FILE OLD NEW replaces text in a file.
func rewrite(ts *testscript.TestScript, neg bool, args []string) {
	file := path(ts, args[0])
	b, err := os.ReadFile(file)
	ts.Check(err)
	if !bytes.Contains(b, []byte(args[1])) {
		ts.Fatalf("%s does not have %q", file, args[1])
	}
	ts.Check(os.WriteFile(file, bytes.ReplaceAll(b, []byte(args[1]), []byte(args[2])), 0o600))
}

// ! code N CMD ... runs a command that must end with exit code N, print nothing
// on stdout, and say why on stderr.
func code(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	if err != nil || !neg || want == 0 {
		ts.Fatalf("usage: ! code N CMD ...")
	}
	err = ts.Exec(args[1], args[2:]...)
	expectFailure(ts, want, err)
}

func expectFailure(ts *testscript.TestScript, want int, err error) {
	got := -1
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		got = e.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d (%v)", got, want, err)
	}
	if out := ts.ReadFile("stdout"); out != "" {
		ts.Fatalf("a failure printed %q on stdout", out)
	}
	if ts.ReadFile("stderr") == "" {
		ts.Fatalf("a failure without words")
	}
}

// ! stdin-code N FILE CMD ... is code with FILE as stdin.
func stdinCode(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	if err != nil || !neg || want == 0 {
		ts.Fatalf("usage: ! stdin-code N FILE CMD ...")
	}
	err = ts.Exec("sh", append([]string{"-c", `f=$1; shift; exec "$@" <"$f"`, "sh", path(ts, args[1])}, args[2:]...)...)
	expectFailure(ts, want, err)
}

// oneagent checks that exactly one agent runs in the script's home.
func oneAgent(ts *testscript.TestScript, neg bool, args []string) {
	if pids := agentsOf(ts.Getenv("XDG_RUNTIME_DIR")); len(pids) != 1 {
		ts.Fatalf("%d agents run", len(pids))
	}
}
