// Package bustest gives tests a session bus of their own.
package bustest

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// busConfig takes the socket, and what else is asked for.
const busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path=%s</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
  %s
</busconfig>
`

// Config is the configuration of a bus at a socket: everybody who gets in may do
// everything, and nothing on the bus starts by itself, but what more asks for.
func Config(socket, more string) []byte { return fmt.Appendf(nil, busConfig, socket, more) }

// Bus is a private session bus.
type Bus struct {
	Address string // as in DBUS_SESSION_BUS_ADDRESS
	Dir     string // its runtime directory; the socket in it is called bus

	program, config string

	mu  sync.Mutex
	cmd *exec.Cmd // nil: it does not run
}

// Activatable is a service that the bus starts when it is called.
type Activatable struct {
	Name string // on the bus
	Exec string // absolute path of the program, with its arguments
}

// StartBus starts a bus that ends with the test. It skips the test where
// dbus-daemon is not installed.
func StartBus(t testing.TB, services ...Activatable) *Bus {
	t.Helper()
	program, err := exec.LookPath("dbus-daemon")
	if err != nil {
		t.Skip("needs dbus-daemon (Debian package dbus)")
	}
	// Not t.TempDir: a socket's path has little room.
	dir, err := os.MkdirTemp("", "bus")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	more := ""
	for _, s := range services {
		more = "<servicedir>" + dir + "</servicedir>"
		text := fmt.Sprintf("[D-BUS Service]\nName=%s\nExec=%s\n", s.Name, s.Exec)
		if err := os.WriteFile(filepath.Join(dir, s.Name+".service"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	socket, config := filepath.Join(dir, "bus"), filepath.Join(dir, "bus.conf")
	if err := os.WriteFile(config, Config(socket, more), 0o600); err != nil {
		t.Fatal(err)
	}
	b := &Bus{Address: "unix:path=" + socket, Dir: dir, program: program, config: config}
	t.Cleanup(b.Kill)
	b.Restart(t)
	return b
}

// Restart starts the bus again at the same address, after a Kill.
func (b *Bus) Restart(t testing.TB) {
	t.Helper()
	b.Kill()
	cmd := exec.Command(b.program, "--config-file="+b.config, "--nofork", "--print-address")
	dieWithParent(cmd)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	b.mu.Lock()
	b.cmd = cmd
	b.mu.Unlock()
	// It prints the address once it listens.
	if line, err := bufio.NewReader(out).ReadString('\n'); !strings.HasPrefix(line, "unix:") {
		t.Fatalf("dbus-daemon said %q, %v", line, err)
	}
}

// Use makes the bus the session bus of this process until the test ends.
func (b *Bus) Use(t testing.TB) {
	t.Helper()
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", b.Address)
	t.Setenv("XDG_RUNTIME_DIR", b.Dir)
}

// Kill ends the bus at once. All its connections break.
func (b *Bus) Kill() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cmd != nil {
		_ = b.cmd.Process.Kill()
		_ = b.cmd.Wait()
		b.cmd = nil
	}
}

// Connect returns a connection of its own to the bus.
func (b *Bus) Connect(t testing.TB) *dbus.Conn {
	t.Helper()
	conn, err := dbus.Connect(b.Address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// Run starts a program that is killed when the returned function is called, at
// the end of the test, or, on Linux, with the process of the test.
func Run(t testing.TB, cmd *exec.Cmd) (kill func()) {
	t.Helper()
	dieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	t.Cleanup(kill)
	return kill
}

// AwaitName waits until somebody owns a name on the bus.
func (b *Bus) AwaitName(t testing.TB, name string) {
	t.Helper()
	conn := b.Connect(t)
	defer conn.Close()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		var owned bool
		if err := conn.BusObject().Call("org.freedesktop.DBus.NameHasOwner", 0, name).Store(&owned); err != nil {
			t.Fatal(err)
		}
		if owned {
			return
		}
	}
	t.Fatalf("nobody owns %s", name)
}
