package keychaintest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cspctl/cspctl/internal/sessionbus/bustest"
)

// StartGNOMEKeyring starts a real gnome-keyring-daemon on the bus, with a home
// of its own and an unlocked collection called login. It skips the test where
// the daemon is not installed.
func StartGNOMEKeyring(t testing.TB, b *bustest.Bus) {
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
	bustest.Run(t, cmd)
	b.AwaitName(t, busName)
}
