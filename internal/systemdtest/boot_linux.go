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
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Container is a booted machine. It ends with the test's process, however that
// ends: the kernel kills the first process of the namespaces that everything of
// it is in, mounts included.
type Container struct {
	leader int             // its PID 1, as this machine counts
	nspawn int             // the parent of that
	notify *net.UnixConn   // hears when it has booted
	ended  <-chan struct{} // closed once nspawn has ended
	out    *tail           // what it printed
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
reboot=133 # the status of systemd-nspawn for it
status=$reboot
while [ $status = $reboot ]; do
	status=0
	systemd-nspawn --directory=/mnt/root --quiet --register=no --keep-unit --private-network \
		--link-journal=no --console=pipe --notify-ready=yes --boot systemd.unit=lean.target || status=$?
done
exit $status
`

var (
	once   sync.Once
	booted *Container
	reason string // why none could be booted
	count  atomic.Int32
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

// BootAnother boots a container for this test alone, which ends with it.
func BootAnother(t testing.TB) *Container {
	t.Helper()
	Boot(t) // or skip
	c, err := boot()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.end)
	return c
}

func boot() (*Container, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("needs root")
	}
	number := strconv.Itoa(os.Getpid()) + "-" + strconv.Itoa(int(count.Add(1)))
	for _, n := range needs {
		if _, err := os.Stat(n.path); err != nil {
			return nil, errors.New("needs the Debian package " + n.pkg)
		}
	}
	// sd_notify(3) messages of systemd-nspawn, in the abstract namespace.
	name := "@systemdtest-" + number
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	groups, err := makeCgroups(number)
	if err != nil {
		_ = notify.Close()
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
		_ = notify.Close()
		return nil, fmt.Errorf("in namespaces of its own: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
		_ = notify.Close() // wakes who waits for it
	}()
	c := &Container{nspawn: cmd.Process.Pid, notify: notify, ended: ended, out: out}
	if err := c.await(); err != nil {
		c.end()
		return nil, err
	}
	return c, nil
}

// await returns once the container has booted.
func (c *Container) await() error {
	if err := c.notify.SetReadDeadline(time.Now().Add(bootTime)); err != nil {
		return err
	}
	b := make([]byte, 4096)
	for {
		n, err := c.notify.Read(b)
		if err != nil {
			return fmt.Errorf("it does not boot: %w: %s", err, c.out)
		}
		if slices.Contains(strings.Split(string(b[:n]), "\n"), "READY=1") {
			break
		}
	}
	var err error
	c.leader, err = firstOf(c.nspawn)
	return err
}

// forget drops what was heard of the boot before.
func (c *Container) forget() {
	_ = c.notify.SetReadDeadline(time.Now().Add(time.Millisecond))
	b := make([]byte, 4096)
	for {
		if _, err := c.notify.Read(b); err != nil {
			return
		}
	}
}

func (c *Container) end() {
	_ = syscall.Kill(c.nspawn, syscall.SIGKILL)
	select {
	case <-c.ended:
	case <-time.After(5 * time.Second):
	}
}

// Reboot shuts the container down and boots it again: what was in /run and in
// memory is gone. It is for the container of BootAnother.
func (c *Container) Reboot(t testing.TB) {
	t.Helper()
	_ = c.Command(t.Context(), "systemctl", "reboot").Run() // it may be killed on the way
	for end := time.Now().Add(bootTime); syscall.Kill(c.leader, 0) == nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not shut down")
		}
	}
	c.forget()
	if err := c.await(); err != nil {
		t.Fatal(err)
	}
}

// Wake starts a user's service manager again, after a reboot, as a login does.
func (u *User) Wake(t testing.TB) {
	t.Helper()
	u.c.Exec(t, "systemctl", "start", "user@"+strconv.Itoa(u.UID)+".service")
}

// firstOf returns the process that is PID 1 of the container which descends
// from a process of ours.
func firstOf(ancestor int) (pid int, err error) {
	files, err := filepath.Glob("/proc/[0-9]*/status")
	if err != nil {
		return 0, err
	}
	parents, firsts := map[int]int{}, []int{}
	for _, file := range files {
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		b, _ := os.ReadFile(file) // it may have ended
		for line := range strings.Lines(string(b)) {
			switch f := strings.Fields(line); {
			case len(f) > 1 && f[0] == "PPid:":
				parents[pid], _ = strconv.Atoi(f[1])
			case len(f) > 3 && f[0] == "NSpid:" && f[len(f)-1] == "1": // here, among the test's, and inside
				firsts = append(firsts, pid)
			}
		}
	}
	for _, first := range firsts {
		for pid := parents[first]; pid > 1; pid = parents[pid] {
			if pid == ancestor {
				return first, nil
			}
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
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8"}
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
