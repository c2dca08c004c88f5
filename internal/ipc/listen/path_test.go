//go:build linux || darwin

package listen_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
// the agent can tell.
func TestT26FolderRemoved(t *testing.T) {
	dir := filepath.Join(folder(t), "run")
	l := mustListen(t, listen.Options{Path: filepath.Join(dir, "agent.sock")})
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if l.StillOurs() {
		t.Error("it does not notice")
	}
	mustListen(t, listen.Options{Path: filepath.Join(dir, "agent.sock")})
}
