package e2e_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/systemdtest"
)

// machine is a container that reaches a simulator outside of it.
type machine struct {
	*systemdtest.Container
	*world
	t *testing.T
}

func newMachine(t *testing.T, accounts ...string) *machine {
	t.Helper()
	m := &machine{systemdtest.BootAnother(t), worldFor(t), t}
	if err := m.startSim(accounts, nil); err != nil {
		t.Fatal(err)
	}
	m.reach()
	for _, a := range accounts {
		token, err := os.ReadFile(filepath.Join(m.dir, a+".token"))
		if err != nil {
			t.Fatal(err)
		}
		m.Put(t, "/root/"+a+".token", token, 0o600)
	}
	return m
}

// reach leads to the simulator until the machine reboots, or its test ends.
func (m *machine) reach() {
	u, err := url.Parse(m.url)
	if err != nil {
		m.t.Fatal(err)
	}
	m.Reach(m.t, u.Host)
}

// reboot reboots the machine, and has the user log in again: the keyring is
// unlocked with it, as PAM does.
func (m *machine) reboot(t *testing.T, u *systemdtest.User) {
	t.Helper()
	m.Reboot(t)
	m.reach()
	u.Wake(t)
	unlockKeyring(t, u)
}

func unlockKeyring(t *testing.T, u *systemdtest.User) {
	t.Helper()
	u.Exec(t, "sh", "-c", "printf password | gnome-keyring-daemon --replace --unlock --components=secrets --daemonize >/dev/null 2>&1")
}

var shippedOnce = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(bin, "shipped")
	cmd := exec.CommandContext(context.Background(), "go", "build", "-trimpath", "-ldflags=-s -w", "-o", dir+"/", "../cmd/cspctl", "../cmd/csp-agent")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	return dir, err
})

// putShipped puts the commands as they are shipped into a folder inside. The
// race detector does not run in the sandbox.
func (m *machine) putShipped(t *testing.T, dir string) {
	t.Helper()
	shipped, err := shippedOnce()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"cspctl", "csp-agent"} {
		b, err := os.ReadFile(filepath.Join(shipped, name))
		if err != nil {
			t.Fatal(err)
		}
		m.Put(t, dir+"/"+name+".new", b, 0o755)
		m.Exec(t, "mv", dir+"/"+name+".new", dir+"/"+name) // the one before may be running
	}
}

// mustToken has a user print an access token, within a few seconds.
func mustToken(t *testing.T, u *systemdtest.User, args ...string) {
	t.Helper()
	if got := u.Exec(t, append([]string{"cspctl", "token"}, args...)...); !isToken(got) {
		t.Errorf("cspctl token %v printed %q", args, got)
	}
}

var tokenLine = regexp.MustCompile(`^[\w-]+\.[\w-]+\.[\w-]+\n$`)

func isToken(s string) bool { return tokenLine.MatchString(s) }

// exit runs a program as the user, and returns its exit code and all it says.
func exit(t *testing.T, u *systemdtest.User, argv ...string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := u.Command(ctx, argv...)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("%q: %v\n%s", argv, ctx.Err(), out)
	}
	if err != nil && cmd.ProcessState == nil {
		t.Fatalf("%q: %v", argv, err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// exposure is what systemd-analyze(1) makes of a unit, from 0 (safe) to 10.
func exposure(t *testing.T, analyzed string) float64 {
	t.Helper()
	_, rest, ok := strings.Cut(analyzed, "Overall exposure level for csp-agent.service: ")
	f, err := strconv.ParseFloat(strings.Fields(rest + " x")[0], 64)
	if !ok || err != nil {
		t.Fatalf("%v in\n%s", err, analyzed)
	}
	return f
}

// mainPID is the process of a user's service.
func mainPID(t *testing.T, u *systemdtest.User) int {
	t.Helper()
	pid, err := strconv.Atoi(strings.TrimSpace(u.Exec(t, "systemctl", "--user", "show", "-p", "MainPID", "--value", "csp-agent.service")))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// underLoad has a user ask for tokens without a pause while do works, and
// fails if one of those calls does.
func underLoad(t *testing.T, u *systemdtest.User, do func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	u.Exec(t, "rm", "-f", "stop", "calls", "failures")
	done := make(chan error, 1)
	go func() {
		done <- u.Command(ctx, "sh", "-c", `while [ ! -e stop ]; do
	cspctl token prod >token 2>said && grep -q . token || { echo "exit $?"; cat said; } >>failures
	echo x >>calls
done`).Run()
	}()
	if err := within(10*time.Second, func() error { return u.Command(ctx, "test", "-s", "calls").Run() }); err != nil {
		t.Fatal(err)
	}
	do()
	u.Exec(t, "touch", "stop")
	if err := <-done; err != nil {
		t.Error(err)
	}
	calls := strings.TrimSpace(u.Exec(t, "sh", "-c", "wc -l <calls"))
	if failures := u.Exec(t, "sh", "-c", "cat failures 2>/dev/null || true"); failures != "" {
		t.Errorf("of %s calls failed:\n%s", calls, failures)
	}
	t.Logf("%s calls of cspctl token, none failed", calls)
}
