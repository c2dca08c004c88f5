package main

import (
	"io"
	"log/slog"
	"time"

	"github.com/cspctl/cspctl/internal/linequeue"
)

// maxLogQueue bounds the lines of the log that wait to be written, in bytes.
const maxLogQueue = 256 << 10

// logPatience is how long the end of the agent waits for its last words to be
// taken.
const logPatience = time.Second

// asyncLog is a log on w that no request waits for: where nobody reads, lines
// are dropped, and counted where they are missing.
func asyncLog(w io.Writer, level slog.Leveler) (*slog.Logger, *linequeue.Queue) {
	direct := slog.New(slog.NewTextHandler(w, nil))
	q := linequeue.New(maxLogQueue,
		func(line []byte) { _, _ = w.Write(line) },
		func(lines int) {
			direct.Warn("lines of the log are lost: they were not read in time", "lines", lines)
		})
	return slog.New(slog.NewTextHandler(q, &slog.HandlerOptions{Level: level})), q
}
