package api

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/cspctl/cspctl/internal/linequeue"
)

// Audit puts on record who was handed which token, who was refused what, and
// who changed what: in a file of one JSON line each, bounded in size, and in the
// log. The token itself is in neither.
//
// Nobody waits for the file: lines are written behind the answers, and what a
// disk that hangs keeps from being written is counted, in the file and in the
// log. Close writes all that is left; an agent that is killed loses the lines
// of the last moment.
type Audit struct {
	path     string
	log      *slog.Logger
	queue    *linequeue.Queue
	refusals refusalRate

	// Of the queue's goroutine alone.
	file   *os.File
	size   int64
	failed bool // so that a full disk is logged once
}

// NewAudit returns an audit log that makes its file with the first line. The
// file before the one at path has .1 added.
func NewAudit(path string, log *slog.Logger) *Audit {
	a := &Audit{path: path, log: log}
	a.queue = linequeue.New(maxAuditQueue, a.write, a.lost)
	return a
}

// maxAuditQueue bounds the lines that wait to be written, in bytes: some tens
// of thousands.
const maxAuditQueue = 4 << 20

// auditPatience is how long Close waits for a file that hangs.
const auditPatience = 2 * time.Second

// maxAudit is the size at which the audit file is set aside, in bytes. One
// older file is kept.
const maxAudit = 4 << 20

// put writes a line to the file and to the log. A record that can't be written
// does not keep the token from its owner.
func (a *Audit) put(line auditLine) {
	level, text := slog.LevelInfo, line.text()
	if line.Code != "" {
		level = slog.LevelWarn
	}
	a.log.LogAttrs(context.Background(), level, text, line.attrs()...)
	if b, err := json.Marshal(line); err == nil {
		a.queue.Put(append(b, '\n'))
	}
}

// write is called by the queue for each line.
func (a *Audit) write(line []byte) {
	err := a.append(line)
	if err != nil && !a.failed {
		a.log.Error("the audit log cannot be written", "path", a.path, "err", err)
	}
	a.failed = err != nil
}

// lost is called by the queue where lines are missing.
func (a *Audit) lost(lines int) {
	a.log.Error("lines of the audit log are lost: the disk was too slow", "path", a.path, "lines", lines)
	b, err := json.Marshal(struct {
		Time time.Time `json:"time"`
		Lost int       `json:"lost_lines"`
	}{time.Now().UTC().Truncate(time.Millisecond), lines})
	if err == nil {
		a.write(append(b, '\n'))
	}
}

func (a *Audit) append(b []byte) error {
	if a.file != nil && a.size+int64(len(b)) > maxAudit {
		_ = a.file.Close()
		a.file = nil
		if err := os.Rename(a.path, a.path+".1"); err != nil {
			return err
		}
	}
	if a.file == nil {
		f, size, err := openAudit(a.path)
		if err != nil {
			return err
		}
		a.file, a.size = f, size
	}
	n, err := a.file.Write(b)
	a.size += int64(n)
	return err
}

// openAudit opens the file to append to it, and returns its size. Anything but
// a regular file is refused: a named pipe would wait for its reader.
func openAudit(path string) (*os.File, int64, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil { // before the first login there is no state
		return nil, 0, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|openFlags, 0o600)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file: remove it", path)
	}
	if err != nil {
		_ = f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// Close writes what is left, and gives up after two seconds.
func (a *Audit) Close() error {
	if err := a.queue.Close(auditPatience); err != nil {
		return fmt.Errorf("the audit log %s: %w", a.path, err)
	}
	if a.file == nil {
		return nil
	}
	err := a.file.Close()
	a.file = nil
	return err
}
