package hook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cspctl/cspctl/internal/agent/expiry"
	"github.com/cspctl/cspctl/internal/hook"
	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/launch"
)

var _ expiry.Channel = (*hook.Hook)(nil)

var all = []string{ipc.EventWarning, ipc.EventCleared, ipc.EventExchange, ipc.EventLogin, ipc.EventLogout}

// runner plays a command that runs until its gate lets it.
type runner struct {
	gate chan error // what it ends with

	mu      sync.Mutex
	got     []string // what it was run for
	command launch.Command
	running int
	most    int // at once
}

func (r *runner) Run(ctx context.Context, c launch.Command) error {
	var e ipc.Event
	if err := json.Unmarshal(c.Stdin, &e); err != nil {
		return err
	}
	r.mu.Lock()
	r.got = append(r.got, e.Type+" "+e.Profile)
	r.command = c
	r.running++
	r.most = max(r.most, r.running)
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.running--
		r.mu.Unlock()
	}()
	select {
	case err := <-r.gate:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *runner) expect(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Equal(r.got, want) {
		t.Errorf("it was run for %q, want %q", r.got, want)
	}
	if r.most > 1 {
		t.Errorf("%d run at once", r.most)
	}
}

type world struct {
	*hook.Hook
	*runner
	settings hook.Settings // changed while nothing runs only
	log      bytes.Buffer
	stop     context.CancelFunc
}

func start(t *testing.T, s hook.Settings) *world {
	t.Helper()
	w := &world{runner: &runner{gate: make(chan error)}, settings: s}
	w.Hook = hook.New(hook.Options{
		Settings: func() hook.Settings { return w.settings },
		Runner:   w.runner, Log: slog.New(slog.NewTextHandler(&w.log, nil)),
	})
	ctx, stop := context.WithCancel(t.Context())
	w.stop = stop
	ended := make(chan struct{})
	go func() {
		w.Hook.Run(ctx)
		close(ended)
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
	return w
}

var page = hook.Settings{Command: []string{"/usr/bin/page", "ops"}, Events: all, Timeout: 30 * time.Second}

func warning(profile string) ipc.Event {
	return ipc.Event{Schema: ipc.EventSchema, Type: ipc.EventWarning, Profile: profile, Stage: "7d", Message: "ends in 7 days & <soon>"}
}

// announce starts an Announce; its result arrives in the channel.
func (w *world) announce(ctx context.Context, profile string) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := w.Announce(ctx, warning(profile), "")
		done <- err
	}()
	return done
}

func TestP7HookIsRunForAWarning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, page)
		done := w.announce(t.Context(), "prod")
		w.expect(t, "warning prod")
		if !slices.Equal(w.command.Argv, page.Command) || w.command.Timeout != page.Timeout {
			t.Errorf("ran %+v", w.command)
		}
		line := string(w.command.Stdin)
		if strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "}\n") || !strings.Contains(line, `"message":"ends in 7 days & <soon>"`) {
			t.Errorf("stdin: %q", line)
		}
		select {
		case err := <-done:
			t.Errorf("it came back before the command ended: %v", err)
		default:
		}
		w.gate <- nil
		if err := <-done; err != nil {
			t.Error(err)
		}
		// What the command failed with is for the caller, who tries again.
		done = w.announce(t.Context(), "prod")
		failed := &launch.Error{Reason: launch.Exited, Status: 1, Program: "/usr/bin/page", Stderr: "no network"}
		w.gate <- failed
		if err := <-done; !errors.Is(err, failed) {
			t.Errorf("got %v", err)
		}
		synctest.Wait()
		if got := w.log.String(); got != "" {
			t.Errorf("the log repeats what the caller says: %s", got)
		}
		w.Publish(ipc.Event{Type: ipc.EventLogin, Profile: "prod"})
		w.gate <- failed
		synctest.Wait()
		if got := w.log.String(); !strings.Contains(got, "the hook failed") || !strings.Contains(got, "no network") {
			t.Errorf("the log: %s", got)
		}
	})
}

func TestOnlyWhatTheSettingsAskFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, hook.Settings{})
		publish := func() {
			for _, e := range []string{ipc.EventCleared, ipc.EventWarning, ipc.EventExchange} {
				w.Publish(ipc.Event{Type: e, Profile: "p"})
			}
		}
		publish()
		if _, err := w.Announce(t.Context(), warning("p"), ""); !errors.Is(err, expiry.ErrNobody) {
			t.Errorf("without a command: %v", err)
		}
		w.expect(t)
		w.settings = hook.Settings{Command: page.Command, Events: []string{ipc.EventCleared}, Timeout: time.Second} // SIGHUP
		if _, err := w.Announce(t.Context(), warning("p"), ""); !errors.Is(err, expiry.ErrNobody) {
			t.Errorf("without warnings: %v", err)
		}
		publish()
		w.gate <- nil
		w.expect(t, "cleared p")
		w.settings = page
		publish() // a warning is announced, not published
		w.gate <- nil
		w.gate <- nil
		w.expect(t, "cleared p", "cleared p", "exchange p")
		// A command that is gone by its turn.
		done := w.announce(t.Context(), "q")
		synctest.Wait()
		w.Publish(ipc.Event{Type: ipc.EventLogin, Profile: "q"})
		w.settings = hook.Settings{}
		w.gate <- nil
		if err := <-done; err != nil {
			t.Error(err)
		}
		w.expect(t, "cleared p", "cleared p", "exchange p", "warning q")
	})
}

// Warnings overtake what only informs, and nothing else.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, page)
		w.Publish(ipc.Event{Type: ipc.EventExchange, Profile: "1"})
		w.expect(t, "exchange 1") // and runs
		w.Publish(ipc.Event{Type: ipc.EventExchange, Profile: "2"})
		w.Publish(ipc.Event{Type: ipc.EventCleared, Profile: "3"})
		w.Publish(ipc.Event{Type: ipc.EventLogin, Profile: "4"})
		done := w.announce(t.Context(), "5")
		synctest.Wait()
		for range 5 {
			w.gate <- nil
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		w.expect(t, "exchange 1", "cleared 3", "warning 5", "exchange 2", "login 4")
	})
}

// A command that hangs costs a bounded queue, and nobody waits.
func TestEventsBeyondTheQueueAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, page)
		begin := time.Now()
		for i := range 1000 {
			w.Publish(ipc.Event{Type: ipc.EventExchange, Profile: fmt.Sprint(i)})
			if i == 0 {
				synctest.Wait() // it runs
			}
		}
		if !time.Now().Equal(begin) {
			t.Error("Publish waited")
		}
		done := w.announce(t.Context(), "prod") // there is room for a warning, and it is the next one
		synctest.Wait()
		w.gate <- nil
		w.gate <- nil
		if err := <-done; err != nil {
			t.Error(err)
		}
		for range 64 {
			w.gate <- nil
		}
		want := []string{"exchange 0", "warning prod"}
		for i := range 64 {
			want = append(want, fmt.Sprint("exchange ", i+1))
		}
		w.expect(t, want...)
		if got := w.log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "events=935") {
			t.Errorf("the log: %s", got)
		}
	})
}

// Who gives up leaves nothing in the queue, and ends its own run.
func TestAnnounceGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, page)
		short, cancel := context.WithCancel(t.Context())
		running := w.announce(short, "running")
		synctest.Wait()
		for range 50 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, err := w.Announce(ctx, warning("waiting"), ""); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			cancel()
		}
		cancel()
		if err := <-running; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		w.expect(t, "warning running")
	})
}

// The time that a warning may take is that of the wait: its run has its own.
func TestALateWarningHasItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, page)
		w.Publish(ipc.Event{Type: ipc.EventExchange, Profile: "slow"})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		done := w.announce(ctx, "prod")
		time.Sleep(59 * time.Second)
		w.gate <- nil
		w.expect(t, "exchange slow", "warning prod")
		time.Sleep(10 * time.Second)
		w.gate <- nil
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// What takes a warning back is not lost behind what only informs, and bounded.
func TestClearedHasRoomOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, page)
		w.Publish(ipc.Event{Type: ipc.EventExchange, Profile: "first"})
		w.expect(t, "exchange first")
		for range 100 {
			w.Publish(ipc.Event{Type: ipc.EventExchange, Profile: "more"})
		}
		for range 65 {
			w.Publish(ipc.Event{Type: ipc.EventCleared, Profile: "prod"})
		}
		want := []string{"exchange first"}
		for range 64 {
			w.gate <- nil
			want = append(want, "cleared prod")
			w.expect(t, want...)
		}
		w.gate <- nil
		w.expect(t, append(want, "exchange more")...)
		if got := w.log.String(); !strings.Contains(got, "events=37") {
			t.Errorf("the log: %s", got)
		}
	})
}

// The agent's end ends the run, and answers whoever waits.
func TestEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, page)
		first := w.announce(t.Context(), "first")
		synctest.Wait()
		second := w.announce(t.Context(), "second")
		w.Publish(ipc.Event{Type: ipc.EventLogin})
		synctest.Wait()
		w.stop()
		for _, done := range []<-chan error{first, second, w.announce(t.Context(), "third")} {
			if err := <-done; err == nil {
				t.Error("it succeeded")
			}
		}
		w.Publish(ipc.Event{Type: ipc.EventLogin})
		w.expect(t, "warning first")
	})
}
