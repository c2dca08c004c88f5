package agent_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/sink"
)

// sinkList is a list of sinks that is not kept.
type sinkList struct{}

func (sinkList) Path() string { return "sinks.json" }

func (sinkList) Lock(context.Context) (func(), error) { return func() {}, nil }
func (sinkList) Read() ([]byte, error)                { return nil, nil }
func (sinkList) Write([]byte) error                   { return nil }

// P2, P5: with a sink and nobody who asks, the server is asked once a renewal,
// and the file always has a token that lives for the floor by the server's clock.
func TestP5SinkCostsOneExchangeForEachRenewal(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		folder := filepath.Join(t.TempDir(), "tokens")
		sinks := sink.New(sink.Options{
			File: sinkList{}, Folder: folder, Dirs: func() []string { return nil },
			Now: func() (time.Time, time.Duration) { i := w.clock.Now(); return i.Wall, i.Boot },
		})
		sinks.Start(w.Agent)
		defer sinks.Close(context.Background())
		s, err := sinks.Add(t.Context(), ipc.SinkRequest{Profile: "prod"})
		if err != nil || !s.Fresh {
			t.Fatalf("%+v, %v", s, err)
		}
		// A life of 1799 s is renewed with 600 to 630 s left: after 1169 s at the soonest.
		const hours = 8
		for second := range hours * 3600 {
			synctest.Wait()
			b, err := os.ReadFile(s.File)
			if err != nil {
				t.Fatalf("second %d: %v", second, err)
			}
			if left := w.server.leftAtServer(strings.TrimSpace(string(b))); left < 5*time.Minute {
				t.Fatalf("second %d: %v left", second, left)
			}
			time.Sleep(time.Second)
		}
		if n := w.server.count(); n < hours*3600/1200 || n > hours*3600/1165+1 {
			t.Errorf("%d exchanges in %d hours", n, hours)
		}
		if _, err := sinks.Remove(t.Context(), "prod", ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		n := w.server.count()
		time.Sleep(3 * time.Hour)
		if w.server.count() != n {
			t.Error("the profile is renewed though the sink is no more")
		}
	})
}
