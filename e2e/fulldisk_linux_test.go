package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// On a full disk, and in a home that can't be written, a login fails as a
// whole: nothing is stored by halves, and what was there stays.
func TestP8FullDiskAndReadOnlyHome(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount a small disk")
	}
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, home string)
	}{
		{"full disk", func(t *testing.T, home string) {
			f, err := os.Create(filepath.Join(home, "filler"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			block := make([]byte, 4096)
			for {
				if _, err := f.Write(block); err != nil {
					return
				}
			}
		}},
		{"read-only home", func(t *testing.T, home string) {
			// A mount over the other one, in which the audit log is open.
			if err := syscall.Mount(home, home, "", syscall.MS_BIND, ""); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = syscall.Unmount(home, syscall.MNT_DETACH) })
			if err := syscall.Mount("", home, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := worldFor(t)
			home := filepath.Join(w.dir, "home")
			if err := syscall.Mount("tmpfs", home, "tmpfs", 0, "size=256k"); err != nil {
				t.Skipf("needs the right to mount a tmpfs: %v", err)
			}
			t.Cleanup(func() { _ = syscall.Unmount(home, syscall.MNT_DETACH) })
			if err := w.startSim([]string{"prod", "lab"}, nil); err != nil {
				t.Fatal(err)
			}
			key := storeKey(t, w.dir)
			if err := w.startAgent(append(w.env, "CSP_AGENT_STORE_KEY_FILE="+key)); err != nil {
				t.Fatal(err)
			}
			if out, err := w.login("prod", "prod.token", "--store", "file"); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			c.spoil(t, home)
			for _, store := range []string{"file", "memory"} {
				out, err := w.login("lab", "lab.token", "--store", store)
				if err == nil || !strings.Contains(out, "cspctl: error: ") {
					t.Errorf("a login into the %s store: %v, %s", store, err, out)
				}
				if out, err := w.cspctl("token", "lab").Output(); err == nil || len(out) > 0 {
					t.Errorf("half a login is there: %q", out)
				}
			}
			if out, err := w.login("prod", "prod.token", "--store", "memory"); err == nil {
				t.Errorf("a login that can't be kept succeeded: %s", out)
			}
			// What was there works, also with a new exchange from the store.
			if out, err := w.cspctl("token", "prod", "--fresh").CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}
