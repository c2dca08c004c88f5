package keychaintest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// StartGNOMEKeyring starts a real gnome-keyring-daemon on the bus, with a home
// of its own and an unlocked collection called login. It skips the test where
// the daemon is not installed.
func StartGNOMEKeyring(t testing.TB, b *Bus) {
	t.Helper()
	program, err := exec.LookPath("gnome-keyring-daemon")
	if err != nil {
		t.Skip("needs gnome-keyring-daemon (Debian package gnome-keyring)")
	}
	home := t.TempDir()
	cmd := exec.Command(program, "--foreground", "--unlock", "--components=secrets", "--control-directory="+filepath.Join(b.Dir, "keyring"))
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "XDG_RUNTIME_DIR=" + b.Dir,
		"DBUS_SESSION_BUS_ADDRESS=" + b.Address}
	cmd.Stdin = strings.NewReader("the password of the collection")
	dieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	b.AwaitName(t, busName)
}

// AwaitName waits until somebody owns a name on the bus.
func (b *Bus) AwaitName(t testing.TB, name string) {
	t.Helper()
	conn := b.connect(t)
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
