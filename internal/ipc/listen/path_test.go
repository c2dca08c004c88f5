//go:build linux || darwin

package listen_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/ipc/listen"
)

// T25: a path of the last length that fits works for both ends; one byte more
// is an error with a type.
func TestT25PathLimit(t *testing.T) {
	limit := len(syscall.RawSockaddrUnix{}.Path) - 1
	dir := folder(t)
	const name = "/agent.sock"
	for _, over := range []int{0, 1, 50} {
		pad := limit - len(dir) - len(name) - len("/") + over
		path := fmt.Sprintf("%s/%s%s", dir, strings.Repeat("x", pad), name)
		l, err := listen.Listen(listen.Options{Path: path})
		switch {
		case over > 0 && !errors.Is(err, ipc.ErrPathTooLong):
			t.Errorf("%d bytes: got %v", len(path), err)
		case over == 0 && err != nil:
			t.Errorf("%d bytes: got %v", len(path), err)
		case over == 0:
			serve(t, l)
			wantServed(t, path)
		}
		if _, err := get(path, "/x"); over > 0 && !errors.Is(err, ipc.ErrPathTooLong) {
			t.Errorf("client, %d bytes: got %v", len(path), err)
		}
	}
	for _, path := range []string{"agent.sock", "./agent.sock", "@abstract", "", "/a\x00b"} {
		if l, err := listen.Listen(listen.Options{Path: path}); err == nil {
			_ = l.Close()
			t.Errorf("%q was accepted", path)
		}
	}
}

// T26: a runtime directory that is removed at logout takes the socket along;
// the agent can tell, and make both again.
func TestT26FolderRemoved(t *testing.T) {
	dir := filepath.Join(folder(t), "run")
	path := filepath.Join(dir, "sub", "agent.sock")
	l := mustListen(t, listen.Options{Path: path})
	serve(t, l)
	for range 3 {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if l.StillOurs() {
			t.Error("it does not notice")
		}
		if err := l.Restore(); err != nil || !l.StillOurs() {
			t.Fatal(err)
		}
		wantServed(t, path)
		if _, err := listen.Listen(listen.Options{Path: path}); !errors.Is(err, listen.ErrRunning) {
			t.Errorf("the path can be taken: %v", err)
		}
		if info, err := os.Lstat(filepath.Join(dir, "sub")); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%v, %v", info, err)
		}
	}
}

// On Linux nobody takes the path while its folder is gone.
func TestT26PathIsKeptWithoutItsFolder(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs abstract sockets")
	}
	dir := filepath.Join(folder(t), "run")
	path := filepath.Join(dir, "agent.sock")
	l := mustListen(t, listen.Options{Path: path})
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if line, end := firstLine(t, helper(t, "listen", path)); line != "running" {
		end()
		t.Errorf("another agent %s", line)
	}
	if err := errors.Join(l.Restore(), l.Close()); err != nil {
		t.Fatal(err)
	}
	mustListen(t, listen.Options{Path: path})
}

func TestRestore(t *testing.T) {
	path := filepath.Join(folder(t), "agent.sock")
	l := mustListen(t, listen.Options{Path: path})
	serve(t, l)
	inode := func() uint64 {
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Sys().(*syscall.Stat_t).Ino
	}
	before := inode()
	if err := l.Restore(); err != nil || inode() != before {
		t.Errorf("a socket that is there was replaced: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := l.Restore(); err != nil {
		t.Fatal(err)
	}
	wantServed(t, path)

	// Somebody else's now: it stays.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	other, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := l.Restore(); !errors.Is(err, listen.ErrRunning) {
		t.Errorf("got %v", err)
	}
}
