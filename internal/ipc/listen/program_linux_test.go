package listen_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/ipc/listen"
)

// programs serves what is known of each peer's program, and passes it on.
func programs(t *testing.T, o listen.Options) <-chan string {
	t.Helper()
	told := make(chan string, 10)
	srv := listen.Server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, verified := listen.ProgramOf(r.Context())
		told <- fmt.Sprint(name, " ", verified)
		w.Header().Set("Content-Length", "0")
	}))
	l := mustListen(t, o)
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
	return told
}

func TestProgramOfAPeer(t *testing.T) {
	path := filepath.Join(folder(t), "agent.sock")
	told := programs(t, listen.Options{Path: path})
	if _, err := get(path, "/x"); err != nil {
		t.Fatal(err)
	}
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if got := <-told; got != exe+" true" && got != exe+" false" { // false before Linux 6.5
		t.Errorf("got %q", got)
	}
}

// T27: a pid outlives its process. Who connected and has ended has no name, and
// gets none of another process's.
func TestT27ProgramOfAPeerThatHasEnded(t *testing.T) {
	path := filepath.Join(folder(t), "agent.sock")
	told := programs(t, listen.Options{Path: path})
	cmd := helper(t, "leave", path)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 5)
	if _, err := io.ReadFull(out, line); err != nil || string(line) != "left\n" {
		t.Fatalf("%q, %v", line, err)
	}
	if _, err := cmd.Process.Wait(); err != nil { // reaped: the pid is free
		t.Fatal(err)
	}
	_ = in.Close() // now the request is completed
	select {
	case got := <-told:
		if got != " false" {
			t.Errorf("got %q", got)
		}
	case <-time.After(20 * time.Second):
		t.Error("no request came")
	}
}

// Of another user's process, an agent that is not root learns the name alone
// that it goes by: who tells it is not believed.
func TestProgramOfNobodyInParticular(t *testing.T) {
	if name, verified := listen.ProgramOf(t.Context()); name != "" || verified {
		t.Errorf("%q, %v", name, verified)
	}
	if listen.Listed(t.Context(), []uint32{0}, []uint32{0}) {
		t.Error("a request that came over no socket is somebody's")
	}
}

// Whom a socket serves can change while it is open, for open connections, too.
func TestAdmitReplacesWhoIsServed(t *testing.T) {
	path := filepath.Join(folder(t), "run", "o.sock")
	if err := os.Chmod(filepath.Dir(filepath.Dir(path)), 0o755); err != nil {
		t.Fatal(err)
	}
	l := mustListen(t, listen.Options{Path: path, Shared: true, Mode: 0o666, GIDs: []uint32{nobody}})
	still := make(chan string, 10)
	srv := listen.Server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.Admit(nil, nil) // between the accepting and the answer
		still <- fmt.Sprint(listen.StillAdmitted(r.Context()), listen.Listed(r.Context(), nil, []uint32{nobody}))
		w.Header().Set("Content-Length", "0")
	}))
	go func() { _ = srv.Serve(l) }()
	defer func() { _ = srv.Close() }()
	ask := func() string {
		cmd := helper(t, "get")
		asNobody(t, cmd)
		cmd.Env = append(cmd.Env, ipc.EnvSocket+"="+path, ipc.EnvUID+"=0")
		line, end := firstLine(t, cmd)
		end()
		return line
	}
	if got := ask(); !strings.HasPrefix(got, "200") || <-still != "false true" {
		t.Errorf("the first: %q", got)
	}
	if got := ask(); !strings.HasPrefix(got, "403") {
		t.Errorf("after that: %q", got)
	}
	l.Admit([]uint32{nobody}, nil)
	if got := ask(); !strings.HasPrefix(got, "200") {
		t.Errorf("listed by uid: %q", got)
	}
}
