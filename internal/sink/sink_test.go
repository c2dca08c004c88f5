package sink_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/secret"
	"github.com/cspctl/cspctl/internal/sink"
)

const (
	life  = 30*time.Minute + 17*time.Second // no multiple of the time between two looks
	floor = 5 * time.Minute
)

// fakeAgent gives tokens whose text is the moment of their end.
type fakeAgent struct {
	mu    sync.Mutex
	end   time.Time // of the cached token
	down  bool      // no exchange succeeds
	hang  bool      // nor fails before the caller gives up
	bad   *ipc.Error
	asked int
}

func (a *fakeAgent) set(f func()) { a.mu.Lock(); defer a.mu.Unlock(); f() }

func (a *fakeAgent) Profile(name string) (ipc.Profile, error) {
	if name == "none" {
		return ipc.Profile{}, &ipc.Error{Code: ipc.CodeNoSuchProfile, Message: "there is no profile none"}
	}
	p := ipc.Profile{Name: name, Provider: "csp"}
	if name == "cloud" {
		p.Provider = "vcd"
	}
	return p, nil
}

func (a *fakeAgent) Token(ctx context.Context, req ipc.TokenRequest) (ipc.Token, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked++
	now := time.Now()
	switch {
	case a.bad != nil:
		return ipc.Token{}, a.bad
	case a.end.Sub(now) >= floor:
	case a.hang:
		a.mu.Unlock()
		<-ctx.Done()
		a.mu.Lock()
		return ipc.Token{}, &ipc.Error{Code: ipc.CodeUnreachable, Message: "no answer in time"}
	case a.down:
		return ipc.Token{}, &ipc.Error{Code: ipc.CodeUnreachable, Message: "the server is down"}
	default:
		a.end = now.Add(life)
	}
	return ipc.Token{AccessToken: secret.Wire{Text: secret.New(a.end.UTC().Format(time.RFC3339Nano))}, Profile: req.Profile, Provider: "csp",
		ExpiresAt: a.end, GoodFor: a.end.Sub(now) - floor}, nil
}

// list is a list of sinks in memory.
type list struct {
	b     []byte
	err   error
	lock  sync.Mutex
	stall chan struct{} // a disk that hangs; may be nil
}

func (l *list) Path() string                         { return "sinks.json" }
func (l *list) Lock(context.Context) (func(), error) { l.lock.Lock(); return l.lock.Unlock, nil }
func (l *list) Read() ([]byte, error)                { return l.b, nil }
func (l *list) Write(b []byte) error {
	if l.stall != nil {
		<-l.stall
	}
	if l.err == nil {
		l.b = b
	}
	return l.err
}

type world struct {
	*sink.Sinks
	agent  *fakeAgent
	list   *list
	folder string
	socket string
	gone   string // the socket of an agent that is no more
	log    *bytes.Buffer
}

func (w *world) file() string { return filepath.Join(w.folder, "prod") }

// start makes sinks on a fake agent; t ends them.
func start(t *testing.T, l *list, dirs ...string) *world {
	t.Helper()
	w := &world{agent: &fakeAgent{}, list: l, folder: filepath.Join(t.TempDir(), "tokens"), socket: "one.sock", log: &bytes.Buffer{}}
	w.open(dirs...)
	return w
}

func (w *world) open(dirs ...string) {
	began := time.Now()
	w.Sinks = sink.New(sink.Options{
		File: w.list, Socket: w.socket, Listens: func(socket string) bool { return socket != w.gone }, Folder: w.folder, Dirs: func() []string { return dirs },
		Now: func() (time.Time, time.Duration) { return time.Now(), time.Since(began) },
		Log: slog.New(slog.NewTextHandler(w.log, nil)),
	})
	w.Start(w.agent)
}

func (w *world) add(t *testing.T, req ipc.SinkRequest) ipc.Sink {
	t.Helper()
	s, err := w.Add(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (w *world) shown(t *testing.T) []ipc.Sink {
	t.Helper()
	l, err := w.List()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func exists(file string) bool { _, err := os.Lstat(file); return err == nil }

// left is the life that the token in the file has; 0 if there is no file.
func left(t *testing.T, file string) time.Duration {
	t.Helper()
	b, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		return 0
	}
	end, bad := time.Parse(time.RFC3339Nano, strings.TrimSuffix(string(b), "\n"))
	if err != nil || bad != nil {
		t.Fatalf("%v, %v: %q", err, bad, b)
	}
	return time.Until(end)
}

// P2: at every second of hours with outages, the file has a token with the
// floor left, or is not there. It is there whenever the agent has one.
func TestP2FileHoldsAGoodTokenOrIsNotThere(t *testing.T) {
	for _, hang := range []bool{false, true} {
		t.Run(fmt.Sprint("hang ", hang), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := start(t, &list{})
				defer w.Close(context.Background())
				w.add(t, ipc.SinkRequest{Profile: "prod"})
				missing, there := 0, 0
				for second := range 3 * 3600 {
					switch second {
					case 3000:
						w.agent.set(func() { w.agent.down, w.agent.hang = true, hang })
					case 6000:
						w.agent.set(func() { w.agent.down, w.agent.hang = false, false })
					case 7000:
						w.agent.set(func() { w.agent.end = time.Now().Add(life) }) // renewed by somebody's --fresh
						w.Observe(ipc.Event{Type: ipc.EventExchange, Outcome: ipc.OutcomeGranted, Profile: "prod"})
					}
					synctest.Wait()
					switch l := left(t, w.file()); {
					case l == 0:
						missing++
					case l < floor:
						t.Fatalf("second %d: %v left", second, l)
					default:
						there++
						if second == 7000 && l != life {
							t.Fatalf("the new token is not in the file: %v left", l)
						}
					}
					time.Sleep(time.Second)
				}
				if missing < 600 || missing > 3100 || there < 7000 {
					t.Errorf("missing for %d seconds, there for %d", missing, there)
				}
				if n := strings.Count(w.log.String(), "not fresh"); n != 1 {
					t.Errorf("%d lines in the log for one outage:\n%s", n, w.log)
				}
			})
		})
	}
}

func TestLockLogoutAndEndRemoveTheFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, &list{})
		w.add(t, ipc.SinkRequest{Profile: "prod"})
		for _, e := range []ipc.Event{{Type: ipc.EventLocked}, {Type: ipc.EventLogout, Profile: "prod"}} {
			w.agent.set(func() { w.agent.bad = &ipc.Error{Code: ipc.CodeLocked, Message: "no"} })
			w.Observe(e)
			w.Settle(t.Context())
			if left(t, w.file()) != 0 {
				t.Errorf("after %s the file is there", e.Type)
			}
			w.agent.set(func() { w.agent.bad = nil })
			w.Observe(ipc.Event{Type: ipc.EventUnlocked})
			synctest.Wait()
			if left(t, w.file()) == 0 {
				t.Error("the file did not come back")
			}
		}
		w.Close(t.Context())
		if left(t, w.file()) != 0 {
			t.Error("the file outlives the agent")
		}
	})
}

// The exchange that hangs holds up neither a lock nor a removal.
func TestLockWhileTheServerHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, &list{})
		defer w.Close(context.Background())
		w.add(t, ipc.SinkRequest{Profile: "prod"})
		w.agent.set(func() { w.agent.end, w.agent.down, w.agent.hang = time.Time{}, true, true })
		w.Observe(ipc.Event{Type: ipc.EventUnlocked})
		synctest.Wait()
		began := time.Now()
		w.Drop("")
		w.Settle(t.Context())
		if left(t, w.file()) != 0 || time.Since(began) > 0 {
			t.Errorf("%v left after %v", left(t, w.file()), time.Since(began))
		}
		if _, err := w.Remove(t.Context(), "prod", ""); err != nil || time.Since(began) > 0 {
			t.Error(err, time.Since(began))
		}
	})
}

// A token of the secret before a login goes, where the server gives none for the
// new one.
func TestTokenOfAnotherSecretGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, &list{})
		defer w.Close(context.Background())
		w.add(t, ipc.SinkRequest{Profile: "prod"})
		w.agent.set(func() { w.agent.end, w.agent.down, w.agent.hang = time.Time{}, true, true })
		w.Observe(ipc.Event{Type: ipc.EventLogin, Profile: "prod"})
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if left(t, w.file()) != 0 {
			t.Error("the old token is there")
		}
	})
}

// What somebody changed, deleted or laid open is put back at the next look.
func TestFileIsPutBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, &list{})
		defer w.Close(context.Background())
		w.add(t, ipc.SinkRequest{Profile: "prod"})
		for name, spoil := range map[string]func() error{
			"deleted":   func() error { return os.Remove(w.file()) },
			"changed":   func() error { return os.WriteFile(w.file(), []byte("x"), 0o600) },
			"laid open": func() error { return os.Chmod(w.file(), 0o644) },
			"no folder": func() error { return os.RemoveAll(w.folder) },
		} {
			if err := spoil(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(31 * time.Second)
			synctest.Wait()
			info, err := os.Lstat(w.file())
			if err != nil || left(t, w.file()) < floor || runtime.GOOS != "windows" && info.Mode() != 0o600 {
				t.Errorf("%s: %v %v", name, info, err)
			}
		}
	})
}

// After kill -9, what was left is replaced or removed at the start, and the
// list is as it was.
func TestLeftoverOfAKilledAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, &list{})
		w.add(t, ipc.SinkRequest{Profile: "prod", Format: ipc.SinkBearer})
		w.Close(t.Context())
		file := w.file() + ".bearer"
		half := filepath.Join(w.folder, ".prod.bearer.17.tmp")
		for _, f := range []string{file, half} {
			if err := os.WriteFile(f, []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		w.agent.down, w.agent.end = true, time.Time{}
		w.open()
		defer w.Close(context.Background())
		synctest.Wait()
		for _, f := range []string{file, half} {
			if _, err := os.Lstat(f); !os.IsNotExist(err) {
				t.Errorf("%s is left: %v", f, err)
			}
		}
		if l, err := w.List(); err != nil || len(l) != 1 || l[0].Format != ipc.SinkBearer || l[0].Error == nil {
			t.Errorf("%+v, %v", l, err)
		}
	})
}

// Two agents with one home have sinks of their own, and lose none of each other's.
func TestAnotherAgentsSinksAreLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		if err := os.Chmod(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		shared := filepath.Join(dir, "token")
		one := start(t, &list{}, dir)
		one.add(t, ipc.SinkRequest{Profile: "prod"})
		two := &world{agent: &fakeAgent{}, list: one.list, folder: filepath.Join(t.TempDir(), "tokens"), socket: "two.sock", log: &bytes.Buffer{}}
		two.open(dir)
		two.add(t, ipc.SinkRequest{Profile: "prod"})
		one.add(t, ipc.SinkRequest{Profile: "prod", File: shared})
		if _, err := two.Add(t.Context(), ipc.SinkRequest{Profile: "prod", File: shared}); err == nil || !strings.Contains(err.Error(), "a sink of the agent at one.sock") {
			t.Errorf("%v", err)
		}
		if _, err := two.Remove(t.Context(), "", shared); err == nil {
			t.Error("another agent's sink was removed")
		}
		for range 4 { // ends and starts
			one.Close(t.Context())
			if left(t, two.file()) == 0 {
				t.Error("the other's file is gone")
			}
			one.open(dir)
			two.Close(t.Context())
			two.open(dir)
			time.Sleep(time.Hour)
			synctest.Wait()
			if l := one.shown(t); len(l) != 2 || left(t, one.file()) == 0 || left(t, shared) == 0 {
				t.Errorf("%+v", l)
			}
			if l := two.shown(t); len(l) != 1 || left(t, two.file()) == 0 {
				t.Errorf("%+v", l)
			}
		}
		// What is left by one that is no more can be taken over.
		two.add(t, ipc.SinkRequest{Profile: "prod", File: filepath.Join(dir, "left")})
		kept := two.add(t, ipc.SinkRequest{Profile: "prod", File: filepath.Join(dir, "kept")})
		two.Close(t.Context())
		for _, name := range []string{"left", "kept"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte("of kill -9"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if l := one.shown(t); len(l) != 2 {
			t.Errorf("%+v", l)
		}
		one.gone = "two.sock"
		if l := one.shown(t); len(l) != 5 || l[0].Error == nil || !strings.Contains(l[0].Error.Message, "which is not there") {
			t.Errorf("%+v", l)
		}
		if gone, err := one.Remove(t.Context(), "", kept.File); err != nil || len(gone) != 1 || exists(kept.File) {
			t.Errorf("%+v, %v", gone, err)
		}
		if one.add(t, ipc.SinkRequest{Profile: "lab", File: filepath.Join(dir, "left")}); left(t, filepath.Join(dir, "left")) == 0 {
			t.Error("it is not taken over")
		}
		if _, err := one.Remove(t.Context(), "lab", ""); err != nil {
			t.Error(err)
		}
		one.gone = ""
		two.open(dir)

		one.Renamed("prod", "live")
		two.Removed("prod")
		one.Close(t.Context())
		two.Close(t.Context())
		one.open(dir)
		two.open(dir)
		defer one.Close(context.Background())
		defer two.Close(context.Background())
		if l := one.shown(t); len(l) != 2 || l[0].Profile != "live" {
			t.Errorf("%+v", l)
		}
		if l := two.shown(t); len(l) != 0 {
			t.Errorf("%+v", l)
		}
	})
}

// While the disk of the list hangs, nobody waits for long, and nothing is lost.
func TestListOnADiskThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, &list{})
		defer w.Close(context.Background())
		w.add(t, ipc.SinkRequest{Profile: "prod"})
		w.list.stall = make(chan struct{})
		go w.Add(t.Context(), ipc.SinkRequest{Profile: "lab"}) //nolint:errcheck // it hangs
		synctest.Wait()
		begun := time.Now()
		w.Renamed("prod", "live")
		w.Removed("lab")
		_, removing := w.Remove(t.Context(), "prod", "")
		_, adding := w.Add(t.Context(), ipc.SinkRequest{Profile: "more"})
		for _, err := range []error{adding, removing} {
			if e, ok := errors.AsType[*ipc.Error](err); !ok || e.Code != ipc.CodeBusy {
				t.Errorf("%v", err)
			}
		}
		if took := time.Since(begun); took > 12*time.Second {
			t.Errorf("it took %v", took)
		}
		if l := w.shown(t); len(l) != 1 || !l[0].Fresh {
			t.Errorf("%+v", l)
		}
		close(w.list.stall)
		synctest.Wait()
		if l := w.shown(t); len(l) != 1 || l[0].Profile != "live" {
			t.Errorf("%+v", l)
		}
	})
}

func TestRefusedSinks(t *testing.T) {
	dir := t.TempDir()
	l := &list{}
	w := start(t, l, dir)
	defer w.Close(context.Background())
	for _, r := range []ipc.SinkRequest{
		{Profile: "prod", File: "relative"},
		{Profile: "prod", File: filepath.Join(t.TempDir(), "x")},
		{Profile: "prod", File: dir + "/../x"},
		{Profile: "prod", File: dir + "/a\nb"},
		{Profile: "prod", Mode: "0644"},
		{Profile: "prod", Mode: "0606"},
		{Profile: "prod", Format: "yaml"},
		{Profile: "none"},
		{Profile: "cloud", Format: ipc.SinkHeader},
	} {
		if s, err := w.Add(t.Context(), r); err == nil {
			t.Errorf("%+v: %+v", r, s)
		}
	}
	l.err = fmt.Errorf("no space left on device")
	if _, err := w.Add(t.Context(), ipc.SinkRequest{Profile: "prod"}); err == nil {
		t.Error("a list that can't be written")
	}
	if got := w.shown(t); len(got) != 0 || l.b != nil {
		t.Errorf("%+v %s", got, l.b)
	}
}

func TestSeveralSinksOfAProfile(t *testing.T) {
	w := start(t, &list{})
	defer w.Close(context.Background())
	raw := w.add(t, ipc.SinkRequest{Profile: "prod"})
	header := w.add(t, ipc.SinkRequest{Profile: "prod", Format: ipc.SinkHeader})
	if raw.File == header.File || !raw.Fresh || !header.Fresh {
		t.Errorf("%+v %+v", raw, header)
	}
	if again := w.add(t, ipc.SinkRequest{Profile: "prod", File: raw.File, Format: ipc.SinkBearer}); !again.Fresh || len(w.shown(t)) != 2 {
		t.Errorf("%+v", again)
	}
	if b, _ := os.ReadFile(raw.File); !bytes.HasPrefix(b, []byte("Authorization: Bearer ")) {
		t.Errorf("%q", b)
	}
	if _, err := w.Add(t.Context(), ipc.SinkRequest{Profile: "other", File: raw.File}); err == nil {
		t.Error("another profile took the file")
	}
	if gone, err := w.Remove(t.Context(), "", header.File); err != nil || len(gone) != 1 {
		t.Error(gone, err)
	}
	w.Renamed("prod", "live")
	if l := w.shown(t); len(l) != 1 || l[0].Profile != "live" || l[0].File != raw.File {
		t.Errorf("%+v", l)
	}
	w.Removed("live")
	if left, _ := os.ReadDir(w.folder); len(w.shown(t)) != 0 || len(left) != 0 {
		t.Error(w.shown(t), left)
	}
}
