package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/cspctl/cspctl/internal/agent/expiry"
	"github.com/cspctl/cspctl/internal/ipc"
)

// Expiry says when and where to warn of API tokens that are about to expire.
type Expiry struct {
	// Stages are how long before the end to warn: ["30d", "7d", "1h"]. The end
	// itself is always one. Empty: 30d, 14d, 7d, 3d, 1d, 1h.
	Stages []Duration `toml:"stages"`
	// Desktop: show notifications there. Nil: yes.
	Desktop *bool `toml:"desktop"`

	ordered expiry.Stages // nil where Stages is empty
}

// Profile are the settings of one profile.
type Profile struct {
	// Expiry: what it says goes before the settings for all profiles.
	Expiry Expiry `toml:"expiry"`
	// UIDs and GIDs are who may have tokens of the profile on the sockets with
	// the role token: nobody, where both are empty. GIDs are looked up among all
	// groups of the peer.
	UIDs []uint32 `toml:"uids"`
	GIDs []uint32 `toml:"gids"`
}

// Hook is a command of the user's that is told of events.
type Hook struct {
	// Command is the program, as an absolute path, and its arguments. It is
	// run without a shell, with the event as JSON on stdin. Empty: none.
	Command []string `toml:"command"`
	// Events are the types of event to run it for; empty: warning and cleared.
	Events []EventType `toml:"events"`
	// Timeout is how long it may run; 30 seconds if zero, ten minutes at most.
	Timeout Duration `toml:"timeout"`
}

// Socket is a further socket, for others than the owner.
type Socket struct {
	// Path is absolute, in a folder that belongs to root or to the agent's user
	// and that others can't write to.
	Path string `toml:"path"`
	// Role is what its users may do: token gets tokens of the profiles that list
	// them, and nothing else; observe reads expiry, status, metrics and events,
	// and never a token.
	Role Role `toml:"role"`
	// UIDs and GIDs are who may connect, besides the owner. GIDs are looked up
	// among all groups of the peer.
	UIDs []uint32 `toml:"uids"`
	GIDs []uint32 `toml:"gids"`
	// Mode of the socket, such as "0660". Empty: 0660 if it has a group, else
	// 0666, since the agent asks the kernel who each peer is. Group is the gid
	// of the socket; 0: the agent's own.
	Mode  Mode   `toml:"mode"`
	Group uint32 `toml:"group"`
}

// Duration is a time as ipc.ParseDuration reads it: 90s, 12h, 14d. Like the
// types below it is a struct, since go-toml asks no other kind of type to read
// its own text.
type Duration struct{ time.Duration }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(b []byte) error {
	v, bad := ipc.ParseDuration(string(b))
	if bad != nil {
		return fmt.Errorf("%s; %s", bad.Message, bad.Hint)
	}
	d.Duration = v
	return nil
}

// EventType is one of the types of ipc.Event.
type EventType struct{ Name string }

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *EventType) UnmarshalText(b []byte) error {
	switch t.Name = string(b); t.Name {
	case ipc.EventWarning, ipc.EventCleared, ipc.EventExchange, ipc.EventLogin, ipc.EventLogout, ipc.EventLocked, ipc.EventUnlocked:
		return nil
	}
	return errors.New("events are warning, cleared, exchange, login, logout, locked and unlocked")
}

// The roles of further sockets.
const (
	RoleToken   = "token"
	RoleObserve = "observe"
)

// Role is what the users of a socket may do.
type Role struct{ Name string }

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Role) UnmarshalText(b []byte) error {
	switch r.Name = string(b); r.Name {
	case RoleToken, RoleObserve:
		return nil
	}
	return errors.New("role is token or observe")
}

// Mode are the permissions of a socket, in octal.
type Mode struct{ fs.FileMode }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *Mode) UnmarshalText(b []byte) error {
	var v fs.FileMode
	if len(b) != 4 || b[0] != '0' {
		return errors.New(`mode is four digits in octal, such as "0660"`)
	}
	for _, c := range b {
		if c < '0' || c > '7' {
			return errors.New(`mode is four digits in octal, such as "0660"`)
		}
		v = v<<3 | fs.FileMode(c-'0')
	}
	m.FileMode = v
	return nil
}

// hookTime is the time limit of a hook, unless the settings say otherwise.
const hookTime, maxHookTime = 30 * time.Second, 10 * time.Minute

// check returns what is wrong, and the key that it stands at.
func (h *Hook) check() (key, text string) {
	switch {
	case len(h.Command) == 0 && (len(h.Events) > 0 || h.Timeout.Duration != 0):
		return "hook", "hook.command is missing"
	case len(h.Command) > 0 && !filepath.IsAbs(h.Command[0]):
		return "hook.command", "hook.command begins with the absolute path of a program"
	case h.Timeout.Duration > maxHookTime:
		return "hook.timeout", "hook.timeout is ten minutes at most"
	}
	if h.Timeout.Duration == 0 {
		h.Timeout.Duration = hookTime
	}
	if len(h.Events) == 0 {
		h.Events = []EventType{{ipc.EventWarning}, {ipc.EventCleared}}
	}
	return "", ""
}

// checkWarnings returns what is wrong, and the key as lineOf finds it.
func (s *Settings) checkWarnings() (key, text string) {
	if key, text = s.Hook.check(); text != "" {
		return key, text
	}
	if text = s.Expiry.check(); text != "" {
		return "expiry.stages", text
	}
	for _, name := range slices.Sorted(maps.Keys(s.Profiles)) {
		if bad := ipc.CheckName(name); bad != nil {
			return "profiles", bad.Message
		}
		p := s.Profiles[name]
		if text = p.Expiry.check(); text != "" {
			return "profiles." + name + ".expiry.stages", text
		}
		s.Profiles[name] = p
	}
	paths := map[string]int{}
	for i, k := range s.Sockets {
		key, name := fmt.Sprintf("sockets[%d]", i), fmt.Sprintf("socket %d", i+1)
		if k.Path != "" {
			name += " (" + k.Path + ")"
		}
		if text = k.check(runtime.GOOS); text != "" {
			return key, name + ": " + text
		}
		path := filepath.Clean(k.Path)
		if first := paths[path]; first != 0 {
			return key, fmt.Sprintf("%s: socket %d has that path", name, first)
		}
		paths[path] = i + 1
	}
	return "", ""
}

// check orders the stages, and returns what is wrong with them.
func (e *Expiry) check() string {
	if len(e.Stages) == 0 {
		return ""
	}
	var before []time.Duration
	for _, s := range e.Stages {
		before = append(before, s.Duration)
	}
	var err error
	if e.ordered, err = expiry.NewStages(before); err != nil {
		return err.Error()
	}
	return ""
}

func (k Socket) check(goos string) string {
	switch {
	case goos == "windows":
		return "there are no further sockets on Windows, where a pipe is its user's alone: remove [[sockets]]"
	case !filepath.IsAbs(k.Path):
		return "path is missing, or not absolute"
	case k.Role.Name == "":
		return "role is missing"
	case len(k.UIDs) == 0 && len(k.GIDs) == 0:
		return "uids and gids are missing: nobody could use the socket"
	}
	return ""
}

// Stages are the stages of warning for a profile.
func (s Settings) Stages(profile string) expiry.Stages {
	if own := s.Profiles[profile].Expiry.ordered; own != nil {
		return own
	}
	if s.Expiry.ordered != nil {
		return s.Expiry.ordered
	}
	return expiry.Default
}

// Desktop reports whether notifications about a profile are shown there.
func (s Settings) Desktop(profile string) bool {
	for _, e := range []Expiry{s.Profiles[profile].Expiry, s.Expiry} {
		if e.Desktop != nil {
			return *e.Desktop
		}
	}
	return true
}
