//go:build unix && !darwin

package notify_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/cspctl/cspctl/internal/agent/expiry"
	"github.com/cspctl/cspctl/internal/notify"
	"github.com/cspctl/cspctl/internal/notify/notifytest"
	"github.com/cspctl/cspctl/internal/sessionbus/bustest"
)

func startBus(t *testing.T, services ...bustest.Activatable) *bustest.Bus {
	t.Helper()
	b := bustest.StartBus(t, services...)
	b.Use(t)
	return b
}

func expectNobody(t *testing.T, d *notify.Desktop) {
	t.Helper()
	if ref, err := d.Announce(t.Context(), warning("p", day), ""); ref != "" || !errors.Is(err, expiry.ErrNobody) {
		t.Errorf("ref %q, %v, want %v", ref, err, expiry.ErrNobody)
	}
}

// T14, T20: no bus means nobody, and none is started.
func TestT14NoBus(t *testing.T) {
	for _, address := range []string{"", "autolaunch:", "unix:path=/nowhere"} {
		t.Run(address, func(t *testing.T) {
			// A dbus-launch that tells on who runs it.
			dir := t.TempDir()
			ran := filepath.Join(dir, "ran")
			for _, name := range []string{"dbus-launch", "dbus-daemon"} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n: >"+ran+"\n"), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			t.Setenv("PATH", dir)
			t.Setenv("DBUS_SESSION_BUS_ADDRESS", address)
			t.Setenv("XDG_RUNTIME_DIR", dir)
			d, _ := newDesktop(t)
			expectNobody(t, d)
			d.Withdraw(t.Context(), "bus :1.1 1")
			if _, err := os.Stat(ran); err == nil {
				t.Error("a bus was started")
			}
			if now := os.Getenv("DBUS_SESSION_BUS_ADDRESS"); now != address {
				t.Errorf("the address of the bus became %q", now)
			}
		})
	}
}

// T15: the server, and the bus, may come later and go at any time.
func TestT15ComesLaterAndGoes(t *testing.T) {
	b := startBus(t)
	d, c := newDesktop(t)
	expectNobody(t, d)
	s := notifytest.Start(t, b)
	expect(t, c.ready, "ready")
	ref := announce(t, d, warning("p", day), "")

	// Another server counts from 1, too: its first is not ours.
	s.Die()
	s = notifytest.Start(t, b)
	expect(t, c.ready, "ready")
	d.Withdraw(t.Context(), ref)
	next := announce(t, d, warning("p", day), ref)
	if n := s.Notes()[0]; n.Replaces != 0 || n.ID != 1 || len(s.Closed()) > 0 {
		t.Errorf("%+v, closed %v", n, s.Closed())
	}
	next = announce(t, d, warning("p", day), next)
	if n := s.Notes()[1]; n.Replaces != 1 {
		t.Errorf("%+v replaces nothing", n)
	}

	// The same names on another bus.
	b.Kill()
	expectNobody(t, d)
	b.Restart(t)
	s = notifytest.Start(t, b)
	announce(t, d, warning("p", day), next)
	if n := s.Notes()[0]; n.Replaces != 0 {
		t.Errorf("%+v", n)
	}
	for _, broken := range []string{"x", "a b c", "a b -1", "a b 4294967296", strings.Repeat("9 ", 1000)} {
		d.Withdraw(t.Context(), broken)
		announce(t, d, warning("p", day), broken)
	}
	if len(s.Closed()) > 0 {
		t.Errorf("closed %v", s.Closed())
	}
}

func TestWhatTheServerCan(t *testing.T) {
	for _, c := range []struct {
		name string
		can  []string
		body string
		acts int
	}{
		{"nothing", nil, `"ci <build> & deploy"`, 0},
		{"all", []string{"body-markup", "actions"}, `"ci &lt;build&gt; &amp; deploy"`, 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := notifytest.Start(t, startBus(t), c.can...)
			d, _ := newDesktop(t)
			announce(t, d, warning("p", day), "")
			n := s.Notes()[0]
			if !strings.Contains(n.Body, c.body) || len(n.Actions) != c.acts || n.Timeout != 0 || n.Category == "" || n.DesktopEntry != "" {
				t.Errorf("%+v", n)
			}
			w := warning("p", 5*day)
			w.RenewURL = ""
			announce(t, d, w, "")
			if n = s.Notes()[1]; len(n.Actions) > 2 || n.Timeout != -1 {
				t.Errorf("%+v offers a page that there is not", n)
			}
		})
	}
}

// A server that hangs costs its deadline, and is tried again.
func TestServerHangs(t *testing.T) {
	for _, method := range []string{"GetCapabilities", "Notify", "CloseNotification"} {
		t.Run(method, func(t *testing.T) {
			b := startBus(t)
			s := notifytest.Start(t, b)
			d, _ := newDesktop(t)
			s.Hang(method)
			d.Patience(200 * time.Millisecond)
			start := time.Now()
			ref, err := d.Announce(t.Context(), warning("p", day), "")
			if method == "CloseNotification" {
				d.Withdraw(t.Context(), ref)
				s.Await(t, method, 1)
			} else if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, expiry.ErrNobody) {
				t.Errorf("%v", err)
			}
			if took := time.Since(start); took > 8*time.Second {
				t.Errorf("it took %v", took)
			}
			s.On(method, nil)
			d.Patience(10 * time.Second)
			announce(t, d, warning("p", day), "")
		})
	}
}

// What vanishes in the middle of a call is nobody.
func TestVanishes(t *testing.T) {
	for _, method := range []string{"GetCapabilities", "Notify"} {
		for what, vanish := range map[string]func(*bustest.Bus, *notifytest.Server){
			"server": func(_ *bustest.Bus, s *notifytest.Server) { s.Die() },
			"bus":    func(b *bustest.Bus, _ *notifytest.Server) { b.Kill() },
		} {
			t.Run(what+" in "+method, func(t *testing.T) {
				b := startBus(t)
				s := notifytest.Start(t, b)
				d, _ := newDesktop(t)
				s.On(method, func() { vanish(b, s) })
				expectNobody(t, d)
			})
		}
	}
}

// Signals of any shape and from anybody do nothing; ours do.
func TestSignals(t *testing.T) {
	b := startBus(t)
	s := notifytest.Start(t, b, "actions")
	d, c := newDesktop(t)
	ref := announce(t, d, warning("p", day), "")
	stranger, err := dbus.Connect(b.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	notifytest.Emit(t, stranger, "ActionInvoked", uint32(1), "renew")
	// The bus passes on what one connection sends in order, so a stranger's
	// signal has come before its call is answered.
	if err := stranger.BusObject().Call("org.freedesktop.DBus.GetId", 0).Err; err != nil {
		t.Fatal(err)
	}
	for _, signal := range []string{"ActionInvoked", "NotificationClosed", "ActivationToken", "Unknown"} {
		for _, body := range [][]any{
			{}, {uint32(1)}, {"renew", uint32(1)}, {int32(1), "renew"}, {uint32(1), "renew", "more"}, {uint32(2), "renew"},
			{uint32(1), "unknown"}, {uint32(1), []string{"renew"}}, {dbus.MakeVariant(uint32(1)), dbus.MakeVariant("renew")},
		} {
			s.Emit(t, signal, body...)
		}
	}
	s.Emit(t, "NotificationClosed", uint32(1), uint32(2)) // dismissed: it is in the history
	s.Emit(t, "ActionInvoked", uint32(1), "snooze")
	expect(t, c.snoozed, "p")
	if len(c.opened) > 0 {
		t.Errorf("opened %s", <-c.opened)
	}
	s.Emit(t, "ActionInvoked", uint32(1), "default")
	expect(t, c.opened, page)

	// Withdrawn, closed by a program, and replaced by another: gone.
	d.Withdraw(t.Context(), ref)
	s.Emit(t, "ActionInvoked", uint32(1), "renew")
	announce(t, d, warning("q", day), "")
	s.Emit(t, "NotificationClosed", uint32(2), uint32(3))
	s.Emit(t, "ActionInvoked", uint32(2), "renew")
	announce(t, d, warning("r", day), "")
	s.Emit(t, "ActionInvoked", uint32(3), "snooze")
	expect(t, c.snoozed, "r")
	if len(c.opened) > 0 {
		t.Errorf("opened %s", <-c.opened)
	}
}

// A server that can't run is not run at each call.
func TestStartsBackOff(t *testing.T) {
	dir := t.TempDir()
	runs := filepath.Join(dir, "runs")
	program := filepath.Join(dir, "server")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho run >>"+runs+"\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	b := startBus(t, bustest.Activatable{Name: notifytest.Name, Exec: program})
	d, c := newDesktop(t)
	now := time.Now()
	d.Clock(func() time.Time { return now })
	count := 0
	expectRuns := func(after time.Duration, more int) {
		t.Helper()
		now = now.Add(after)
		expectNobody(t, d)
		expectNobody(t, d)
		count += more
		text, _ := os.ReadFile(runs)
		if got := strings.Count(string(text), "run"); got != count {
			t.Errorf("after %v it was run %d times, want %d", after, got, count)
		}
	}
	expectRuns(0, 1)
	expectRuns(59*time.Second, 0)
	expectRuns(time.Second, 1)
	expectRuns(119*time.Second, 0)
	expectRuns(time.Second, 1)
	for _, pause := range []time.Duration{4, 8, 10, 10} {
		expectRuns(pause*time.Minute-time.Second, 0)
		expectRuns(time.Second, 1)
	}
	// Somebody else starts one: that ends the pause.
	s := notifytest.Start(t, b)
	expect(t, c.ready, "ready")
	announce(t, d, warning("p", day), "")
	s.Die()
	expectRuns(0, 1)
}

// The bus starts a server that is installed, and that is no news.
func TestStartsServer(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "server")
	script := fmt.Sprintf("#!/bin/sh\nexport %s=1\nexec %s -test.run=TestPlayServer\n", serverEnv, os.Args[0])
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	startBus(t, bustest.Activatable{Name: notifytest.Name, Exec: program})
	d, c := newDesktop(t)
	d.Withdraw(t.Context(), "bus :1.1 1")
	announce(t, d, warning("p", day), "")
	announce(t, d, warning("q", day), "")
	if len(c.ready) > 0 {
		t.Error("our own call was told as news")
	}
}

const serverEnv = "NOTIFY_TEST_SERVER"

// TestPlayServer is the program of TestStartsServer; it ends with its bus.
func TestPlayServer(t *testing.T) {
	if os.Getenv(serverEnv) == "" {
		return
	}
	conn, err := dbus.Connect(os.Getenv("DBUS_STARTER_ADDRESS"))
	if err != nil {
		t.Fatal(err)
	}
	notifytest.Start(t, &bustest.Bus{Address: os.Getenv("DBUS_STARTER_ADDRESS")})
	<-conn.Context().Done()
}

// Close ends all that was begun, and nothing is said after it.
func TestClose(t *testing.T) {
	b := startBus(t)
	s := notifytest.Start(t, b, "actions")
	before := calm()
	for range 10 {
		opening := make(chan struct{})
		d := notify.NewDesktop(notify.Options{Open: func(ctx context.Context, _ string) error {
			close(opening)
			<-ctx.Done()
			return ctx.Err()
		}})
		announce(t, d, warning("p", day), "")
		s.Emit(t, "ActionInvoked", uint32(len(s.Notes())), "renew")
		select {
		case <-opening:
		case <-time.After(10 * time.Second):
			t.Fatal("the click never came")
		}
		d.Close()
		d.Close()
		expectNobody(t, d)
	}
	// A call that hangs ends, too.
	s.Hang("Notify")
	d, _ := newDesktop(t)
	done := make(chan error, 1)
	go func() {
		_, err := d.Announce(context.Background(), warning("p", day), "")
		done <- err
	}()
	s.Await(t, "Notify", 11)
	d.Close()
	select {
	case err := <-done:
		if !errors.Is(err, expiry.ErrNobody) {
			t.Errorf("%v", err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("it hangs after Close")
	}
	if after := calm(); after > before+1 { // the call that hangs in the server
		t.Errorf("%d goroutines before, %d after", before, after)
	}
}

// calm waits until the number of goroutines has not fallen for a while.
func calm() int {
	least := runtime.NumGoroutine()
	for quiet := 0; quiet < 20; quiet++ {
		time.Sleep(5 * time.Millisecond)
		if n := runtime.NumGoroutine(); n < least {
			least, quiet = n, 0
		}
	}
	return least
}
