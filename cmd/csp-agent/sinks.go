package main

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/adrg/xdg"
	"github.com/gofrs/flock"

	"github.com/cspctl/cspctl/internal/atomicfile"
	"github.com/cspctl/cspctl/internal/bootclock"
	"github.com/cspctl/cspctl/internal/sink"
)

// sinkTime bounds the wait for the files with tokens to be removed at the end.
const sinkTime = 2 * time.Second

// sinkList is the list of sinks, and the lock of the agent that keeps them.
type sinkList struct {
	path string
	lock *flock.Flock
}

func newSinkList(path string) *sinkList {
	return &sinkList{path, flock.New(path+".lock", flock.SetPermissions(0o600))}
}

// maxSinkList bounds the list, in bytes.
const maxSinkList = 1 << 20

func (f *sinkList) Path() string         { return f.path }
func (f *sinkList) Write(b []byte) error { return atomicfile.Write(f.path, b) }
func (f *sinkList) Release()             { _ = f.lock.Close() }

func (f *sinkList) Hold() (bool, error) {
	if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
		return false, err
	}
	return f.lock.TryLock()
}

func (f *sinkList) Read() ([]byte, error) {
	atomicfile.Sweep(f.path)
	b, err := atomicfile.Read(f.path, maxSinkList)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// newSinks makes the sinks of the agent that listens at socket.
func newSinks(f files, socket string, s *settings, log *slog.Logger) *sink.Sinks {
	dir := filepath.Dir(socket)
	if runtime.GOOS == "windows" { // a pipe is in no folder
		dir = filepath.Join(xdg.RuntimeDir, "csp-agent")
	}
	folder := filepath.Join(dir, "tokens")
	if f.system {
		folder = "" // the folder of its sockets is not its own to write to
	}
	return sink.New(sink.Options{
		File:   newSinkList(filepath.Join(filepath.Dir(f.state), "sinks.json")),
		Folder: folder,
		Dirs:   func() []string { return s.now().Sinks.Dirs },
		Now:    func() (time.Time, time.Duration) { i := bootclock.Clock{}.Now(); return i.Wall, i.Boot },
		Log:    log,
	})
}
