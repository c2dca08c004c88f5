package api

import (
	"cmp"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/ipc/listen"
)

// auditLine is one line of the audit file: an answer, and who got it. The uid
// and gid are the kernel's word; the program is somebody's word unless it is
// verified (see listen.ProgramOf).
type auditLine struct {
	Time     time.Time `json:"time"`
	Action   string    `json:"action"`         // of the route; connect where the connection was refused
	Code     ipc.Code  `json:"code,omitempty"` // of the error that was answered; missing: it was done
	Reason   string    `json:"reason,omitempty"`
	Fix      string    `json:"fix,omitempty"` // what to add to the settings, if that user is meant
	UID      uint32    `json:"uid"`
	GID      uint32    `json:"gid"`
	PID      int       `json:"pid"`
	Program  string    `json:"program,omitempty"`
	Verified bool      `json:"program_verified"`
	Role     string    `json:"role,omitempty"`
	Socket   string    `json:"socket,omitempty"`
	Profile  string    `json:"profile,omitempty"`
	Kind     string    `json:"kind,omitempty"`
	Run      string    `json:"run,omitempty"`      // the id of a run: it was its stand-in that was exchanged
	To       string    `json:"to,omitempty"`       // the new name, of a rename
	Replaced bool      `json:"replaced,omitempty"` // by a login: there was a secret before
	Expires  time.Time `json:"token_expires_at,omitzero"`
	// Unrecorded counts the refusals of this uid since the line before that are
	// over the rate.
	Unrecorded int `json:"unrecorded,omitempty"`
}

// The reasons of a refusal that the answer does not tell.
const (
	reasonNotListed = "not listed" // the profile is there, and not for that user
	reasonRole      = "role"       // the socket's role does not allow it
)

func (l auditLine) text() string {
	switch {
	case l.Code == "" && l.Action == actionToken:
		return "token served"
	case l.Code == "":
		return "done: " + l.Action
	}
	return "refused: " + l.Action
}

// attrs are the fields for the log.
func (l auditLine) attrs() []slog.Attr {
	list := []slog.Attr{slog.Any("uid", l.UID), slog.Int("pid", l.PID), slog.String("program", l.Program), slog.Bool("program_verified", l.Verified)}
	for _, f := range []struct{ name, value string }{
		{"role", l.Role}, {"socket", l.Socket}, {"profile", l.Profile}, {"kind", l.Kind}, {"run", l.Run}, {"to", l.To},
		{"code", string(l.Code)}, {"reason", l.Reason}, {"fix", l.Fix},
	} {
		if f.value != "" {
			list = append(list, slog.String(f.name, f.value))
		}
	}
	if l.Replaced {
		list = append(list, slog.Bool("replaced", true))
	}
	if l.Unrecorded > 0 {
		list = append(list, slog.Int("unrecorded", l.Unrecorded))
	}
	return list
}

// about is what a handler tells the record of its request.
type about struct {
	profile, kind, run, to, reason, fix string

	code     ipc.Code // of the error, where the answer has a vaguer one
	replaced bool
}

// record puts the answer to a request on record. What only looks is recorded
// where it was refused to others than the owner.
func (s *Server) record(c *call, r route, v any, err error) {
	if s.Audit == nil || r.reads && (err == nil || s.Role == Owner) {
		return
	}
	line := auditLine{
		Time: now(), Action: r.action, Role: s.Role.String(), Socket: s.Socket,
		UID: c.peer.UID, GID: c.peer.GID, PID: c.peer.PID,
		Profile: c.about.profile, Kind: c.about.kind, Run: c.about.run, To: c.about.to, Reason: c.about.reason, Fix: c.about.fix, Replaced: c.about.replaced,
	}
	if line.Profile == "" {
		line.Profile = c.PathValue("name")
	}
	if t, ok := v.(ipc.Token); ok && err == nil {
		line.Profile, line.Kind, line.Expires = t.Profile, t.Kind, t.ExpiresAt
	}
	if err != nil {
		line.Code, line.Replaced = cmp.Or(c.about.code, codeOf(err)), false
		var ok bool
		if line.Unrecorded, ok = s.Audit.refusals.next(c.peer.UID, line.Time); !ok {
			return
		}
	}
	for _, name := range []*string{&line.Profile, &line.To} {
		if *name != "" && ipc.CheckName(*name) != nil {
			*name = "" // anything may have been sent as a name, and at any length
		}
	}
	switch line.Kind {
	case "", ipc.KindAccess, ipc.KindID, ipc.KindProxy:
	default:
		line.Kind = ""
	}
	line.Program, line.Verified = listen.ProgramOf(c.Context())
	s.Audit.put(line)
}

// Refused puts a connection that was turned away on record.
func (a *Audit) Refused(p listen.Peer, err error) {
	if a == nil {
		return
	}
	line := auditLine{Time: now(), Action: "connect", Code: ipc.CodeNotAllowed, UID: p.UID, GID: p.GID, PID: p.PID}
	if errors.Is(err, listen.ErrBusy) {
		line.Code = ipc.CodeBusy
	}
	var ok bool
	if line.Unrecorded, ok = a.refusals.next(p.UID, line.Time); ok {
		a.put(line)
	}
}

func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

func codeOf(err error) ipc.Code {
	if e, ok := errors.AsType[*ipc.Error](err); ok {
		return e.Code
	}
	return ipc.CodeInternal
}

// The refusals of one user that are on record, so that nobody can push what
// matters out of the file, or fill the journal.
const (
	maxRefusals  = 10
	refusalsTime = time.Minute
	maxRefused   = 1000 // users that are told apart; further ones count as one
)

// refusalRate bounds the refusals that are put on record, for each uid.
type refusalRate struct {
	mu    sync.Mutex
	users map[uint32]*refusalCount
	rest  refusalCount
}

type refusalCount struct {
	since          time.Time
	lines, skipped int
}

// next reports whether one more refusal of that user is put on record, and how
// many were not since the last that was.
func (r *refusalRate) next(uid uint32, now time.Time) (skipped int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.users[uid]
	switch {
	case c != nil:
	case len(r.users) >= maxRefused:
		r.forget(now)
		c = &r.rest
	default:
		c = new(refusalCount)
		if r.users == nil {
			r.users = map[uint32]*refusalCount{}
		}
		r.users[uid] = c
	}
	if age := now.Sub(c.since); age < 0 || age >= refusalsTime {
		c.since, c.lines = now, 0
	}
	if c.lines >= maxRefusals {
		c.skipped++
		return 0, false
	}
	c.lines++
	skipped, c.skipped = c.skipped, 0
	return skipped, true
}

// forget drops those who have been quiet.
func (r *refusalRate) forget(now time.Time) {
	for uid, c := range r.users {
		if age := now.Sub(c.since); c.skipped == 0 && (age < 0 || age >= refusalsTime) {
			delete(r.users, uid)
		}
	}
}
