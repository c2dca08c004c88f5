package launch_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/systemdtest"
)

// sandbox are settings of the agent's unit that a hook must not be under.
var sandbox = []string{"NoNewPrivileges=yes", "MemoryDenyWriteExecute=yes", "UMask=0077", "LimitCORE=0", "LimitNOFILE=300",
	"PrivateUsers=yes", "ProtectHome=read-only", "RestrictAddressFamilies=AF_UNIX", "SystemCallFilter=@system-service", "TasksMax=20"}

// machine is a user's service manager, and an agent that runs as its service.
type machine struct {
	*systemdtest.User
	c       *systemdtest.Container
	program string
}

func boot(t *testing.T, user string) machine {
	t.Helper()
	c := systemdtest.Boot(t)
	return machine{c.User(t, user), c, c.PutSelf(t)}
}

// agent runs a command through an agent in a sandbox, and returns what it says.
func (m machine) agent(t *testing.T, stdin, limit string, argv ...string) string {
	t.Helper()
	return m.sandboxed(t, stdin, append([]string{"agent", limit}, argv...)...)
}

// sandboxed plays something in a sandbox.
func (m machine) sandboxed(t *testing.T, stdin string, play ...string) string {
	t.Helper()
	run := []string{"systemd-run", "--user", "--pipe", "--wait", "--quiet", "--collect"}
	for _, s := range append(sandbox, "Environment=CSP_AGENT_SOCK=/x", "Environment=SOME_TOKEN=x") {
		run = append(run, "--property="+s)
	}
	run = append(run, m.program, "play")
	for _, arg := range play {
		run = append(run, strings.ReplaceAll(arg, "$", "$$")) // systemd-run knows variables
	}
	cmd := m.Command(t.Context(), run...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestUnitOutsideTheSandbox(t *testing.T) {
	m := boot(t, "ben")
	event := `{"type":"warning"}` + "\n" + strings.Repeat("x", 100<<10)
	file := filepath.Join(m.Home, "report")
	odd := []string{"$HOME", "${HOME}", "$$", "%h %%", `back\slash "quotes" 'too'`, "", " spaces  ", "tab\tand\nline"}
	if got := m.agent(t, event, "20s", append([]string{m.program, "play", "report", file}, odd...)...); got != "done" {
		t.Fatal(got)
	}
	r := readReport(t, m.c.Path(file))
	m.Exec(t, "systemd-run", "--user", "--pipe", "--wait", "--quiet", m.program, "play", "report", file)
	plain := readReport(t, m.c.Path(file)) // what a service finds that has no sandbox
	if r.Stdin != event {
		t.Errorf("stdin: %d bytes arrived, want %d", len(r.Stdin), len(event))
	}
	if got := r.Args[4:]; !slices.Equal(got, odd) {
		t.Errorf("arguments %q, want %q", got, odd)
	}
	var boxed report
	if err := json.Unmarshal([]byte(m.sandboxed(t, "", "report", "-")), &boxed); err != nil {
		t.Fatal(err)
	}
	if boxed.Umask != 0o077 || boxed.HomeWritable || boxed.Status["NoNewPrivs"] != "1" || boxed.Files != 300 {
		t.Errorf("the agent's sandbox is none: %+v", boxed)
	}
	for _, name := range []string{"NoNewPrivs", "Seccomp", "Seccomp_filters", "CapBnd"} {
		if r.Status[name] != plain.Status[name] || plain.Status[name] == "" {
			t.Errorf("%s is %s, want %s", name, r.Status[name], plain.Status[name])
		}
	}
	if r.Umask != 0o022 || r.Core != plain.Core || r.Files != plain.Files || !r.HomeWritable || r.Dir != "/" {
		t.Errorf("umask %#o, core limit %d, files %d, home writable %v, in %s", r.Umask, r.Core, r.Files, r.HomeWritable, r.Dir)
	}
	if !strings.Contains(r.Cgroup, "/csp-agent-") || strings.Contains(r.Cgroup, "/run-") {
		t.Errorf("its control group is %s", r.Cgroup)
	}
	if len(r.FDs) != 3 {
		t.Errorf("descriptors: %q", r.FDs)
	}
	for _, entry := range r.Env {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "CSP_AGENT") || strings.Contains(name, "TOKEN") {
			t.Errorf("environment: %s", entry)
		}
	}
	if units := m.Exec(t, "systemctl", "--user", "list-units", "--all", "--no-legend", "csp-agent-*"); strings.TrimSpace(units) != "" {
		t.Errorf("units are left: %s", units)
	}
}

func TestUnitFailures(t *testing.T) {
	m := boot(t, "cyd")
	m.c.Put(t, "/usr/local/bin/plain-file", []byte("no program"), 0o644)
	m.c.Put(t, "/usr/local/bin/no-format", []byte("\x00\x01\x02"), 0o755)
	m.c.Put(t, "/usr/local/bin/no-interpreter", []byte("#!/nonexistent/sh\n"), 0o755)
	for _, c := range []struct {
		name, limit string
		argv        []string
		want        string
	}{
		{"exit 3", "20s", []string{"/bin/sh", "-c", `printf '\n first \033[31m line\nsecond\n' >&2; exit 3`}, `exited, status 3, signal "": /bin/sh failed with exit status 3: first ?[31m line`},
		{"a signal", "20s", []string{"/bin/sh", "-c", "kill -KILL $$"}, `killed, status 0, signal "SIGKILL": /bin/sh was killed by SIGKILL`},
		{"its whole group", "20s", []string{"/bin/sh", "-c", "kill -TERM 0; sleep 9"}, `killed, status 0, signal "SIGTERM": /bin/sh was killed by SIGTERM`},
		{"not there", "20s", []string{"/nonexistent/hook"}, `not found, status 0, signal "": /nonexistent/hook was not found`},
		{"no mode", "20s", []string{"/usr/local/bin/plain-file"}, `not executable, status 0, signal "": /usr/local/bin/plain-file can't be executed: check its mode and its first line`},
		{"no format", "20s", []string{"/usr/local/bin/no-format"}, `not executable, status 0, signal "": /usr/local/bin/no-format can't be executed: check its mode and its first line`},
		{"no interpreter", "20s", []string{"/usr/local/bin/no-interpreter"}, `not executable, status 0, signal "": /usr/local/bin/no-interpreter can't be executed: check its mode and its first line`},
		{"a directory", "20s", []string{"/usr"}, `not executable, status 0, signal "": /usr can't be executed: check its mode and its first line: it is a directory`},
		{"too long", "500ms", []string{"/bin/sleep", "60"}, `timed out, status 0, signal "": /bin/sleep took too long, and was ended`},
		{"relative", "20s", []string{"sleep"}, `not found, status 0, signal "": sleep was not found: its path must be absolute`},
		{"closes stdin", "20s", []string{"/bin/true"}, "done"},
		{"floods", "20s", []string{"/bin/sh", "-c", "head -c 200M /dev/zero >&2; head -c 200M /dev/zero"}, "done"},
	} {
		t.Run(c.name, func(t *testing.T) {
			begin := time.Now()
			if got := m.agent(t, strings.Repeat("x", 100<<10), c.limit, c.argv...); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if d := time.Since(begin); d > 15*time.Second {
				t.Errorf("it took %v", d)
			}
		})
	}
	if units := m.Exec(t, "systemctl", "--user", "list-units", "--all", "--no-legend", "csp-agent-*"); strings.TrimSpace(units) != "" {
		t.Errorf("units are left: %s", units)
	}
}

// A program and what it started ignore SIGTERM and hold the pipe.
func TestUnitEndsStubbornPrograms(t *testing.T) {
	m := boot(t, "dan")
	file := filepath.Join(m.Home, "pid")
	begin := time.Now()
	got := m.agent(t, "", "1s", m.program, "play", "stubborn", file)
	if !strings.HasPrefix(got, "timed out") {
		t.Error(got)
	}
	if d := time.Since(begin); d > 10*time.Second {
		t.Errorf("it took %v", d)
	}
	pid, err := os.ReadFile(m.c.Path(file))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Command(t.Context(), "kill", "-0", string(pid)).Run(); err == nil {
		t.Errorf("process %s lives on", pid)
	}
}

// A program whose unit somebody stops was stopped, however well it ends.
func TestUnitStoppedBySomebody(t *testing.T) {
	m := boot(t, "gus")
	m.Exec(t, "mkfifo", "runs")
	done := make(chan string, 1)
	go func() {
		out, _ := m.Command(t.Context(), "systemd-run", "--user", "--pipe", "--wait", "--quiet", "--unit=agent", m.program, "play", "agent", "60s",
			"/bin/sh", "-c", "trap 'exit 0' TERM; echo runs >$$HOME/runs; while :; do sleep 0.1; done").CombinedOutput()
		done <- string(out)
	}()
	m.Exec(t, "timeout", "30", "cat", "runs")
	m.Exec(t, "systemctl", "--user", "stop", "csp-agent-*")
	select {
	case got := <-done:
		if !strings.HasPrefix(got, "stopped, ") || !strings.Contains(got, "somebody stopped its unit") {
			t.Errorf("got %s", got)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it does not end")
	}
}

// The agent's end is that of a hook that runs as its own unit.
func TestUnitEndsWithTheAgent(t *testing.T) {
	m := boot(t, "fay")
	m.Exec(t, "mkfifo", "runs")
	done := make(chan string, 1)
	go func() {
		out, _ := m.Command(t.Context(), "systemd-run", "--user", "--pipe", "--wait", "--quiet", "--unit=agent", m.program, "play", "agent", "60s",
			"/bin/sh", "-c", "echo $$$$ >$$HOME/runs; exec sleep 60").CombinedOutput()
		done <- string(out)
	}()
	started := make(chan string, 1)
	go func() {
		out, _ := m.Command(t.Context(), "cat", "runs").Output()
		started <- strings.TrimSpace(string(out))
	}()
	var pid string
	select {
	case pid = <-started:
	case got := <-done:
		t.Fatalf("it ended early: %s", got)
	case <-time.After(30 * time.Second):
		t.Fatalf("it does not run: %s", m.Exec(t, "systemctl", "--user", "list-units", "--all", "--no-pager", "*agent*"))
	}
	m.Exec(t, "kill", "-0", pid)
	m.Exec(t, "systemctl", "--user", "stop", "agent")
	select {
	case got := <-done:
		if !strings.HasPrefix(got, "stopped, ") {
			t.Errorf("got %s", got)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it does not end")
	}
	if err := m.Command(t.Context(), "kill", "-0", pid).Run(); err == nil {
		t.Errorf("process %s lives on", pid)
	}
}
