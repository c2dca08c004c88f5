//go:build unix

package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// P8: an agent whose socket was removed, or the folder around it, makes it
// again. No other agent takes its place, and nothing in its memory is lost.
func TestP8SocketRemoved(t *testing.T) {
	for _, c := range []struct {
		name   string
		gone   func(run string) string
		direct bool // the next cspctl need not wait for the socket
	}{
		{"the socket", func(run string) string { return filepath.Join(run, "csp-agent", "agent.sock") }, true},
		{"its folder", func(run string) string { return filepath.Join(run, "csp-agent") }, true},
		// Without it cspctl looks for the agent where it is without XDG_RUNTIME_DIR.
		{"the runtime directory", func(run string) string { return run }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := served(t, []string{"prod"}, nil)
			w.mustLogin(t)
			out, err := w.cspctl("socket").Output()
			if err != nil {
				t.Fatal(err)
			}
			socket := strings.TrimSpace(string(out))
			run := filepath.Dir(filepath.Dir(socket))
			for range 3 {
				if err := os.RemoveAll(c.gone(run)); err != nil {
					t.Fatal(err)
				}
				if !c.direct {
					if err := within(3*time.Second, func() error { _, err := os.Lstat(socket); return err }); err != nil {
						t.Fatal(err)
					}
				}
				begin := time.Now()
				out, err := w.cspctl("token", "prod").CombinedOutput()
				if err != nil || time.Since(begin) > 2*time.Second {
					t.Errorf("after %v: %v: %s", time.Since(begin), err, out)
				}
			}
			select {
			case <-w.agent.ended:
				t.Error("the agent ended")
			default:
			}
			if pids := agentsOf(run); os.Geteuid() == 0 && len(pids) != 1 {
				t.Errorf("agents: %v", pids)
			}
			w.mustEnd(t)
		})
	}
}
