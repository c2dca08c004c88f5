//go:build unix && !darwin

package keychain_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cspctl/cspctl/internal/keychain/keychaintest"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/sessionbus/bustest"
)

// What is stored in a real keychain is found there by other programs under
// names that a person understands, and outlives the process.
func TestGNOMEKeyring(t *testing.T) {
	keychaintest.StartGNOMEKeyring(t, startBus(t))
	k := newKeychain(t)
	put(t, k, "prod", 1)
	put(t, k, "dev", 2)
	t.Run("another process", func(t *testing.T) {
		want := credential(1).Origin + " " + credential(1).Secret.Reveal()
		if got := readInNewProcess(t, "prod"); got != want {
			t.Errorf("got %q", got)
		}
	})
	t.Run("secret-tool", func(t *testing.T) {
		if _, err := exec.LookPath("secret-tool"); err != nil {
			t.Skip("needs secret-tool (Debian package libsecret-tools)")
		}
		out, err := exec.Command("secret-tool", "search", "service", "cspctl-test", "username", "prod").CombinedOutput()
		if err != nil || !strings.Contains(string(out), credential(1).Secret.Reveal()) || !strings.Contains(string(out), "attribute.username = prod") {
			t.Errorf("%v: %s", err, out)
		}
	})
	if err := k.Delete(t.Context(), "prod", provider.NoPrompt); err != nil {
		t.Fatal(err)
	}
	expect(t, k, "dev", 2)
}

// T15: a keychain that is installed but does not run is started by the bus.
func TestT15KeychainThatTheBusStarts(t *testing.T) {
	program, err := exec.LookPath("gnome-keyring-daemon")
	if err != nil {
		t.Skip("needs gnome-keyring-daemon (Debian package gnome-keyring)")
	}
	home := t.TempDir()
	script := filepath.Join(t.TempDir(), "start")
	// The bus hands on its own address.
	text := "#!/bin/sh\nexport HOME='" + home + "' XDG_RUNTIME_DIR='" + home + "'\nprintf pw | exec " + program + " --foreground --unlock --components=secrets\n"
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	startBus(t, bustest.Activatable{Name: "org.freedesktop.secrets", Exec: script})
	k := newKeychain(t)
	put(t, k, "p", 1)
	expect(t, k, "p", 1)
	expectState(t, k, provider.StoreReady, "unlocked")
}

// readInNewProcess reads a profile from the keychain in another process.
func readInNewProcess(t *testing.T, profile string) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childEnv+"="+profile)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}
