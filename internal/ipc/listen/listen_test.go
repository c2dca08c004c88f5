//go:build linux || darwin

package listen_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/cspctl/cspctl/internal/ipc/listen"
)

// T21: whatever the umask is, nobody ever sees the socket more open than it is
// to be.
func TestT21NoMomentWithAnotherMode(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	dir := filepath.Join(folder(t), "a")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "agent.sock")
	// Shared, so that the folder's mode is no second protection.
	o := listen.Options{Path: path, Shared: true}

	stop := make(chan struct{})
	var watcher sync.WaitGroup
	seen := 0
	watcher.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			entries, _ := os.ReadDir(dir)
			for _, e := range entries {
				info, err := os.Lstat(filepath.Join(dir, e.Name()))
				if err != nil {
					continue
				}
				seen++
				if info.Mode().Perm()&0o077 != 0 {
					t.Errorf("%s had mode %v", e.Name(), info.Mode())
					return
				}
			}
		}
	})
	for range 300 {
		l, err := listen.Listen(o)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Lstat(path); err != nil || info.Mode() != fs.ModeSocket|0o600 {
			t.Fatalf("got %v, %v", info, err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	watcher.Wait()
	if seen == 0 {
		t.Error("the watcher saw no file at all")
	}

	fresh := filepath.Join(folder(t), "b", "agent.sock")
	mustListen(t, listen.Options{Path: fresh})
	if info, err := os.Lstat(filepath.Dir(fresh)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder: got %v, %v", info, err)
	}
	if info, err := os.Lstat(filepath.Join(filepath.Dir(fresh), "agent.lock")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("lock: got %v, %v", info, err)
	}
	if entries, err := os.ReadDir(filepath.Dir(fresh)); err != nil || len(entries) != 2 {
		t.Errorf("more than the socket and its lock: %v, %v", entries, err)
	}
}

func TestModeAndGroupOfASharedSocket(t *testing.T) {
	path := filepath.Join(folder(t), "run", "token.sock")
	o := listen.Options{Path: path, Shared: true, Mode: 0o660}
	if os.Geteuid() == 0 {
		o.GID = nobody
	}
	mustListen(t, o)
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != fs.ModeSocket|0o660 {
		t.Fatalf("got %v, %v", info, err)
	}
	if gid := info.Sys().(*syscall.Stat_t).Gid; o.GID != 0 && int(gid) != o.GID {
		t.Errorf("group is %d", gid)
	}
	// Two sockets in one folder do not get in each other's way.
	mustListen(t, listen.Options{Path: filepath.Join(filepath.Dir(path), "agent.sock"), Shared: true})
}

// T22: a socket on which somebody listens is never taken, with or without our
// lock; one that a dead agent left is.
func TestT22LiveSocketIsNotStolen(t *testing.T) {
	dir := folder(t)
	path := filepath.Join(dir, "agent.sock")
	first := mustListen(t, listen.Options{Path: path})
	serve(t, first)
	if _, err := listen.Listen(listen.Options{Path: path}); !errors.Is(err, listen.ErrRunning) {
		t.Errorf("with the lock held: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "agent.lock")); err != nil {
		t.Fatal(err)
	}
	if _, err := listen.Listen(listen.Options{Path: path}); !errors.Is(err, listen.ErrRunning) {
		t.Errorf("with the lock's file removed: %v", err)
	}
	wantServed(t, path)
	if !first.StillOurs() {
		t.Error("the socket was replaced")
	}
}

func TestT22StaleSocketIsReplaced(t *testing.T) {
	path := filepath.Join(folder(t), "agent.sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	// As if an agent had been killed half-way.
	if err := os.Mkdir(filepath.Join(filepath.Dir(path), ".agent"), 0o700); err != nil {
		t.Fatal(err)
	}
	serve(t, mustListen(t, listen.Options{Path: path}))
	wantServed(t, path)
}

func TestWhatIsInTheWayStays(t *testing.T) {
	for name, put := range map[string]func(path string) error{
		"a file":   func(p string) error { return os.WriteFile(p, []byte("precious"), 0o600) },
		"a folder": func(p string) error { return os.Mkdir(p, 0o700) },
		"a link":   func(p string) error { return os.Symlink("/nowhere", p) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(folder(t), "agent.sock")
			if err := put(path); err != nil {
				t.Fatal(err)
			}
			before, err := os.Lstat(path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := listen.Listen(listen.Options{Path: path}); err == nil || errors.Is(err, listen.ErrRunning) {
				t.Errorf("got %v", err)
			}
			if after, err := os.Lstat(path); err != nil || !os.SameFile(before, after) {
				t.Errorf("it was touched: %v", err)
			}
		})
	}
}

// T23: an agent that ends does not take its successor's socket away.
func TestT23CloseLeavesASuccessorsSocket(t *testing.T) {
	path := filepath.Join(folder(t), "agent.sock")
	first := mustListen(t, listen.Options{Path: path})
	if !first.StillOurs() {
		t.Error("a fresh socket is not ours")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if first.StillOurs() {
		t.Error("a removed socket is still ours")
	}
	successor, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = successor.Close() }()
	if first.StillOurs() {
		t.Error("a successor's socket is ours")
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the successor's socket is gone: %v", err)
	}
}

func TestCloseRemovesTheSocketAndFreesTheLock(t *testing.T) {
	path := filepath.Join(folder(t), "agent.sock")
	for range 3 {
		l := mustListen(t, listen.Options{Path: path})
		if err := errors.Join(l.Close(), l.Close()); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the socket is still there: %v", err)
		}
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept after Close: %v", err)
		}
	}
}

// T24: of twenty agents started at once, one wins, and it stays reachable.
func TestT24DoubleStart(t *testing.T) {
	path := filepath.Join(folder(t), "run", "agent.sock")
	var mu sync.Mutex
	said := map[string]int{}
	var ends []func()
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			line, end := firstLine(t, helper(t, "listen", path))
			mu.Lock()
			defer mu.Unlock()
			said[line]++
			ends = append(ends, end)
		})
	}
	all.Wait()
	if said["won"] != 1 || said["running"] != 19 {
		t.Errorf("got %v", said)
	}
	if c, err := net.Dial("unix", path); err != nil {
		t.Errorf("the winner is not reachable: %v", err)
	} else {
		_ = c.Close()
	}
	for _, end := range ends {
		end()
	}
}

// A killed agent leaves its socket and its lock's file, and neither stops the
// next one.
func TestT24KilledAgentIsReplaced(t *testing.T) {
	path := filepath.Join(folder(t), "run", "agent.sock")
	cmd := helper(t, "listen", path)
	line, end := firstLine(t, cmd)
	if line != "won" {
		t.Fatal(line)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	end()
	if _, err := os.Lstat(path); err != nil {
		t.Fatalf("the test needs a socket that was left behind: %v", err)
	}
	serve(t, mustListen(t, listen.Options{Path: path}))
	wantServed(t, path)
}
