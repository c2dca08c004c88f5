//go:build unix

package e2e_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

// keyring starts a session bus with a real gnome-keyring on it, unlocked, and
// sets DBUS_SESSION_BUS_ADDRESS.
func keyring(ts *testscript.TestScript, neg bool, args []string) {
	w := worldOf(ts)
	bus := exec.Command("dbus-daemon", "--session", "--nofork", "--print-address", "--address=unix:dir="+ts.Getenv("XDG_RUNTIME_DIR"))
	bus.Env = w.env
	bus.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := bus.StdoutPipe()
	ts.Check(err)
	ts.Check(bus.Start())
	w.extra = append(w.extra, func() { _ = syscall.Kill(-bus.Process.Pid, syscall.SIGKILL); _ = bus.Wait() })
	address, err := bufio.NewReader(out).ReadString('\n')
	ts.Check(err)
	ts.Setenv("DBUS_SESSION_BUS_ADDRESS", strings.TrimSpace(address))

	daemon := exec.Command("gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets")
	daemon.Env = append(append([]string{}, w.env...), "DBUS_SESSION_BUS_ADDRESS="+strings.TrimSpace(address))
	daemon.Stdin = strings.NewReader("pw")
	log, err := os.Create(filepath.Join(w.dir, "keyring.log"))
	ts.Check(err)
	defer log.Close()
	daemon.Stdout, daemon.Stderr = log, log
	ts.Check(daemon.Start())
	w.extra = append(w.extra, func() { _ = daemon.Process.Kill(); _ = daemon.Wait() })
}
