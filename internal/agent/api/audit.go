package api

import (
	"encoding/json"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/ipc/listen"
)

// Audit puts on record who was handed which token: in a file of one JSON line
// each, bounded in size, and in the log. The token itself is in neither.
type Audit struct {
	path string
	log  *slog.Logger

	mu     sync.Mutex
	file   *os.File
	size   int64
	failed bool // so that a full disk is logged once
}

// NewAudit returns an audit log that begins with the first token. The file
// before the one at path has .1 added.
func NewAudit(path string, log *slog.Logger) *Audit { return &Audit{path: path, log: log} }

// maxAudit is the size at which the audit file is set aside, in bytes. One
// older file is kept.
const maxAudit = 1 << 20

// auditLine is one line of the file.
type auditLine struct {
	Time    time.Time `json:"time"`
	UID     uint32    `json:"uid"`
	PID     int       `json:"pid"`
	Program string    `json:"program,omitempty"` // of the pid when it was looked up: not verified
	Profile string    `json:"profile"`
	Kind    string    `json:"kind"`
	Expires time.Time `json:"token_expires_at,omitzero"`
}

// tokenServed records a token that was handed out. A record that can't be
// written does not keep the token from its owner.
func (a *Audit) tokenServed(p listen.Peer, t ipc.Token) {
	if a == nil {
		return
	}
	line := auditLine{
		Time: time.Now().UTC().Truncate(time.Millisecond), UID: p.UID, PID: p.PID, Program: programOf(p.PID),
		Profile: t.Profile, Kind: t.Kind, Expires: t.ExpiresAt,
	}
	a.log.Info("token served", "uid", line.UID, "pid", line.PID, "program", line.Program, "profile", line.Profile, "kind", line.Kind)
	b, err := json.Marshal(line)
	if err == nil {
		err = a.append(append(b, '\n'))
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil && !a.failed {
		a.log.Error("the audit log cannot be written", "path", a.path, "err", err)
	}
	a.failed = err != nil
}

func (a *Audit) append(b []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.file != nil && a.size+int64(len(b)) > maxAudit {
		_ = a.file.Close()
		a.file = nil
		if err := os.Rename(a.path, a.path+".1"); err != nil {
			return err
		}
	}
	if a.file == nil {
		f, err := os.OpenFile(a.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
		if err != nil {
			return err
		}
		info, err := f.Stat()
		if err != nil {
			_ = f.Close()
			return err
		}
		a.file, a.size = f, info.Size()
	}
	n, err := a.file.Write(b)
	a.size += int64(n)
	return err
}

// Close closes the file.
func (a *Audit) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.file == nil {
		return nil
	}
	err := a.file.Close()
	a.file = nil
	return err
}
