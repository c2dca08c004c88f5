package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/adrg/xdg"

	"github.com/cspctl/cspctl/internal/atomicfile"
	"github.com/cspctl/cspctl/internal/bootclock"
	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/sink"
)

// sinkTime bounds the wait for the files with tokens to be removed at the end.
const sinkTime = 2 * time.Second

// sinkList is the path of the list of sinks.
type sinkList string

// maxSinkList bounds the list, in bytes.
const maxSinkList = 4 << 20

func (f sinkList) Path() string         { return string(f) }
func (f sinkList) Write(b []byte) error { return atomicfile.Write(string(f), b) }

func (f sinkList) Lock(ctx context.Context) (unlock func(), err error) {
	return lockForWriting(ctx, string(f))
}

func (f sinkList) Read() ([]byte, error) {
	b, err := atomicfile.Read(string(f), maxSinkList)
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
		File:   sinkList(filepath.Join(filepath.Dir(f.state), "sinks.json")),
		Socket: socket,
		Listens: func(socket string) bool {
			pid, err := ipc.ListenerPID(socket)
			return err != nil || pid != 0
		},
		Folder: folder,
		Dirs:   func() []string { return s.now().Sinks.Dirs },
		Now:    func() (time.Time, time.Duration) { i := bootclock.Clock{}.Now(); return i.Wall, i.Boot },
		Log:    log,
	})
}
