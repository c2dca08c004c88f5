//go:build unix

// On Windows links are a privilege, and a file that somebody reads can't be
// replaced.
package sink_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
)

// T33: a link at the file's place is not followed, by whatever it is replaced.
func TestT33LinksAreNotFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, &list{})
		defer w.Close(context.Background())
		w.add(t, ipc.SinkRequest{Profile: "prod"})
		victim := filepath.Join(t.TempDir(), "victim")
		for _, c := range []struct {
			name string
			link func(old, new string) error
			good bool // it is replaced by a file of its own
		}{{"hard", os.Link, true}, {"symbolic", os.Symlink, false}} {
			_ = os.WriteFile(victim, []byte("theirs"), 0o600)
			_ = os.Remove(w.file())
			if err := c.link(victim, w.file()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			if b, err := os.ReadFile(victim); err != nil || string(b) != "theirs" {
				t.Errorf("%s: %q, %v", c.name, b, err)
			}
			if l := w.shown(t); (l[0].Error == nil) != c.good || l[0].Fresh != c.good {
				t.Errorf("%s: %+v", c.name, l)
			}
		}
	})
}

// A link in the path that gets another end: no token stays where it led, and no
// file of others is replaced where it leads.
func TestLinkInThePathOfASinkChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		for _, name := range []string{"", "r1", "r2"} {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(path, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		current := filepath.Join(dir, "current")
		link := func(to string) {
			_ = os.Remove(current)
			if err := os.Symlink(to, current); err != nil {
				t.Fatal(err)
			}
		}
		// Another agent has the same file by another way.
		two := &world{agent: &fakeAgent{}, list: &list{}, socket: "two.sock", log: &bytes.Buffer{}}
		old, next := filepath.Join(dir, "r1", "token"), filepath.Join(dir, "r2", "token")
		link("r1")
		w := start(t, &list{}, dir)
		defer w.Close(context.Background())
		w.add(t, ipc.SinkRequest{Profile: "prod", File: filepath.Join(current, "token")})
		two.list = w.list
		two.open(dir)
		defer two.Close(context.Background())
		if _, err := two.Add(t.Context(), ipc.SinkRequest{Profile: "prod", File: old}); err == nil || !strings.Contains(err.Error(), "a sink of the agent at one.sock") {
			t.Errorf("%v", err)
		}
		if err := os.WriteFile(next, []byte("theirs"), 0o600); err != nil {
			t.Fatal(err)
		}
		link("r2")
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if b, err := os.ReadFile(next); err != nil || string(b) != "theirs" || exists(old) {
			t.Errorf("%q, %v; the old one is there: %v", b, err, exists(old))
		}
		if l := w.shown(t); l[0].Fresh || l[0].Error == nil {
			t.Errorf("%+v", l)
		}
		if err := os.Remove(next); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if left(t, next) == 0 {
			t.Error("the file is not there")
		}
	})
}

// Who reads in a loop sees whole files alone, while each read may meet a write.
func TestReaderNeverSeesAHalf(t *testing.T) {
	w := start(t, &list{})
	defer w.Close(context.Background())
	w.add(t, ipc.SinkRequest{Profile: "prod"})
	seen := map[string]bool{}
	for len(seen) < 20 { // however slow the disk is
		w.agent.set(func() { w.agent.end = w.agent.end.Add(time.Second) })
		w.Observe(ipc.Event{Type: ipc.EventExchange, Outcome: ipc.OutcomeGranted, Profile: "prod"})
		b, err := os.ReadFile(w.file())
		if _, bad := time.Parse(time.RFC3339Nano+"\n", string(b)); err != nil || bad != nil {
			t.Fatalf("%q, %v", b, err)
		}
		seen[string(b)] = true
	}
}
