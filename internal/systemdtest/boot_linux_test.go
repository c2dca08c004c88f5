package systemdtest_test

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/systemdtest"
)

const playEnv = "SYSTEMDTEST_PLAY"

func TestUserManager(t *testing.T) {
	c := systemdtest.Boot(t)
	if again := systemdtest.Boot(t); again != c {
		t.Error("a second boot in one process")
	}
	u := c.User(t, "ada")
	if got := strings.TrimSpace(u.Exec(t, "systemctl", "--user", "is-system-running", "--wait")); got != "running" {
		t.Errorf("the user's manager is %s", got)
	}
	got := u.Exec(t, "systemd-run", "--user", "--pipe", "--wait", "--quiet", "sh", "-c", "id -un; pwd; cat /proc/self/cgroup")
	if !strings.HasPrefix(got, "ada\n/home/ada\n") || !strings.Contains(got, "/user@"+strconv.Itoa(u.UID)+".service/") {
		t.Errorf("a service of the user's: %s", got)
	}
	if got := u.Exec(t, "busctl", "--user", "list"); !strings.Contains(got, "org.freedesktop.systemd1") {
		t.Errorf("the session bus: %s", got)
	}
	c.Put(t, "/etc/note", []byte("inside"), 0o644)
	if got := u.Exec(t, "cat", "/etc/note"); got != "inside" {
		t.Errorf("got %q", got)
	}
	if _, err := os.Stat("/etc/note"); err == nil {
		t.Error("the file is on the machine itself")
	}
}

// However the process of a test ends, nothing is left of its container.
func TestNothingIsLeft(t *testing.T) {
	if os.Getenv(playEnv) != "" { // this process is the one that dies
		c := systemdtest.Boot(t)
		leader := strings.TrimSuffix(strings.TrimPrefix(c.Path(""), "/proc/"), "/root")
		_, _ = os.Stdout.WriteString("leader=" + leader + "\n")
		_ = os.Stdout.Sync()
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	systemdtest.Boot(t) // or skip
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestNothingIsLeft$", "-test.v")
	cmd.Env = append(os.Environ(), playEnv+"=1")
	out, _ := cmd.CombinedOutput()
	_, rest, ok := strings.Cut(string(out), "leader=")
	pid, err := strconv.Atoi(strings.TrimSpace(strings.SplitN(rest, "\n", 2)[0]))
	if !ok || err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for end := time.Now().Add(10 * time.Second); syscall.Kill(pid, 0) == nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("process %d of the container lives on", pid)
		}
	}
	if mounts, err := os.ReadFile("/proc/self/mounts"); err != nil || strings.Contains(string(mounts), "/mnt/root") {
		t.Errorf("left mounted: %v\n%s", err, mounts)
	}
}

func TestReboot(t *testing.T) {
	c := systemdtest.BootAnother(t)
	u := c.User(t, "bea")
	u.Exec(t, "sh", "-c", "echo kept >note; echo gone >$XDG_RUNTIME_DIR/note")
	before := c.Exec(t, "cat", "/proc/sys/kernel/random/boot_id", "/proc/1/stat")
	c.Reboot(t)
	u.Wake(t)
	if after := c.Exec(t, "cat", "/proc/sys/kernel/random/boot_id", "/proc/1/stat"); after == before {
		t.Error("the same first process as before")
	}
	if got := u.Exec(t, "sh", "-c", "cat note; cat $XDG_RUNTIME_DIR/note 2>&1 || true"); !strings.HasPrefix(got, "kept\ncat: ") {
		t.Errorf("got %q", got)
	}
}
