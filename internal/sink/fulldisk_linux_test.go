package sink_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
)

// P8: on a full disk the old token stays while it is good, the trouble is shown,
// and the new one is written once there is room.
func TestP8FullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount a small disk")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k,mode=0700"); err != nil {
		t.Skipf("needs the right to mount a tmpfs: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	synctest.Test(t, func(t *testing.T) {
		w := start(t, &list{}, dir)
		defer w.Close(context.Background())
		file, filler := filepath.Join(dir, "prod"), filepath.Join(dir, "filler")
		w.add(t, ipc.SinkRequest{Profile: "prod", File: file})
		if err := os.WriteFile(filler, make([]byte, 1<<20), 0o600); err == nil {
			t.Fatal("the disk is not full")
		}
		for second := range 26 * 60 {
			switch second {
			case 600:
				w.agent.set(func() { w.agent.end = time.Now().Add(life) })
				w.Observe(ipc.Event{Type: ipc.EventExchange, Outcome: ipc.OutcomeGranted, Profile: "prod"})
			case 1200:
				if s := w.shown(t)[0]; s.Error == nil || !s.Fresh || !strings.Contains(s.Error.Message, "no space left") {
					t.Errorf("%+v", s)
				}
				if entries, _ := os.ReadDir(dir); len(entries) != 2 {
					t.Errorf("%v are there", entries)
				}
			}
			synctest.Wait()
			if l := left(t, file); l != 0 && l < floor || l == 0 && second < 25*60 {
				t.Fatalf("second %d: %v left", second, l)
			}
			time.Sleep(time.Second)
		}
		// The old token has made room for the new one.
		if s := w.shown(t)[0]; s.Error != nil || !s.Fresh || left(t, file) < floor {
			t.Errorf("%+v", s)
		}
	})
}
