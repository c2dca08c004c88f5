// Package systemdtest boots systemd in a container for tests: a real service
// manager, with real users whose own managers run. The container is this
// machine's root folder, written to in memory; nothing on the machine changes.
package systemdtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Container is a booted machine. It ends with the test's process, however that
// ends: the kernel kills the first process of the namespaces that everything of
// it is in, mounts included.
type Container struct {
	leader int // its PID 1, as this machine counts
}

// bootTime is far more than a boot takes: about a second, where nothing else runs.
const bootTime = 60 * time.Second

// The programs that it takes, and the Debian packages that have them.
var needs = []struct{ path, pkg string }{
	{"/usr/bin/systemd-nspawn", "systemd-container"},
	{"/usr/bin/nsenter", "util-linux"},
	{"/usr/bin/dbus-daemon", "dbus"},
	{"/usr/lib/systemd/user/dbus.socket", "dbus-user-session"},
	{"/usr/share/pam-configs/systemd", "libpam-systemd"},
}

// script builds the root below /mnt, which nobody else sees, and boots it. The
// target is a small one: what is installed on this machine stays asleep.
const script = `set -e
for group in $CGROUPS; do echo 0 >$group/cgroup.procs; done
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work overlay /mnt/root
cd /mnt/root
echo 0123456789abcdef0123456789abcdef >etc/machine-id
mkdir -p etc/systemd/system
cat >etc/systemd/system/lean.target <<END
[Unit]
Requires=basic.target
Wants=dbus.socket systemd-logind.service systemd-user-sessions.service
After=basic.target dbus.socket systemd-logind.service systemd-user-sessions.service
END
exec systemd-nspawn --directory=/mnt/root --quiet --register=no --keep-unit --private-network \
	--link-journal=no --console=pipe --notify-ready=yes --boot systemd.unit=lean.target
`

var (
	once   sync.Once
	booted *Container
	reason string // why none could be booted
)

// Boot returns the container of this process, which is booted for the first
// test that asks. It skips the test, and says why, where there can't be one:
// as another user than root, without the programs, where mounts are forbidden.
func Boot(t testing.TB) *Container {
	t.Helper()
	once.Do(func() {
		var err error
		if booted, err = boot(); err != nil {
			reason = err.Error()
		}
	})
	if booted == nil {
		t.Skip("needs a container with systemd: " + reason)
	}
	return booted
}

func boot() (*Container, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("needs root")
	}
	for _, n := range needs {
		if _, err := os.Stat(n.path); err != nil {
			return nil, errors.New("needs the Debian package " + n.pkg)
		}
	}
	// sd_notify(3) messages of systemd-nspawn, in the abstract namespace.
	name := "@systemdtest-" + strconv.Itoa(os.Getpid())
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	defer notify.Close()
	if err := notify.SetReadDeadline(time.Now().Add(bootTime)); err != nil {
		return nil, err
	}

	groups, err := makeCgroups()
	if err != nil {
		return nil, err
	}
	out := new(tail)
	cmd := exec.Command("/bin/sh", "-c", script)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "NOTIFY_SOCKET=" + name, "CGROUPS=" + strings.Join(groups, " ")}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Pdeathsig: syscall.SIGKILL, Setpgid: true,
		Cloneflags: syscall.CLONE_NEWPID, Unshareflags: syscall.CLONE_NEWNS, // the latter is made private
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("in namespaces of its own: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
		_ = notify.Close() // wakes the reader below
	}()

	b := make([]byte, 4096)
	for ready := false; !ready; {
		var n int
		if n, err = notify.Read(b); err != nil {
			err = fmt.Errorf("it does not boot: %w", err)
			break
		}
		ready = slices.Contains(strings.Split(string(b[:n]), "\n"), "READY=1")
	}
	var leader int
	if err == nil {
		leader, err = firstChild(cmd.Process.Pid)
	}
	if err != nil {
		_ = cmd.Process.Kill()
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
		}
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	return &Container{leader}, nil
}

// firstChild returns the child of a process that is PID 1 in its namespace.
func firstChild(parent int) (pid int, err error) {
	files, err := filepath.Glob("/proc/[0-9]*/status")
	if err != nil {
		return 0, err
	}
	for _, file := range files {
		var ppid, inner string
		b, _ := os.ReadFile(file) // it may have ended
		for line := range strings.Lines(string(b)) {
			switch f := strings.Fields(line); {
			case len(f) > 1 && f[0] == "PPid:":
				ppid = f[1]
			case len(f) > 1 && f[0] == "NSpid:":
				inner = f[len(f)-1]
			}
		}
		if ppid == strconv.Itoa(parent) && inner == "1" {
			return strconv.Atoi(filepath.Base(filepath.Dir(file)))
		}
	}
	return 0, errors.New("its first process is not found")
}

// tail is a Writer that keeps the last of what is written.
type tail struct {
	mu sync.Mutex
	b  []byte
}

func (o *tail) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	const most = 2000
	o.b = append(o.b, p...)
	o.b = o.b[max(0, len(o.b)-most):]
	return len(p), nil
}

func (o *tail) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.TrimSpace(string(o.b))
}

// Command prepares a program that runs inside as root, with the container's
// environment only. Everything is entered but the control group.
func (c *Container) Command(ctx context.Context, argv ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/usr/bin/nsenter",
		append([]string{"-t", strconv.Itoa(c.leader), "-m", "-u", "-i", "-n", "-p", "-C", "--"}, argv...)...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8"}
	cmd.WaitDelay = 2 * time.Second
	return cmd
}

// Exec runs a program inside as root, for half a minute at most, and returns
// what it wrote to stdout. The test fails if the program does.
func (c *Container) Exec(t testing.TB, argv ...string) string {
	t.Helper()
	return run(t, func(ctx context.Context) *exec.Cmd { return c.Command(ctx, argv...) })
}

func run(t testing.TB, prepare func(context.Context) *exec.Cmd) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := prepare(ctx)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("in the container: %q: %v\n%s%s", cmd.Args, err, out.Bytes(), errs.Bytes())
	}
	return out.String()
}

// Path returns where this process finds a file of the container.
func (c *Container) Path(inside string) string {
	return "/proc/" + strconv.Itoa(c.leader) + "/root" + inside
}

// Put writes a file of root's inside.
func (c *Container) Put(t testing.TB, inside string, content []byte, mode os.FileMode) {
	t.Helper()
	path := c.Path(inside)
	if err := errors.Join(os.WriteFile(path, content, mode), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
}
