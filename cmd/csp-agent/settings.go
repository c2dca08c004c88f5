package main

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cspctl/cspctl/internal/agent"
	"github.com/cspctl/cspctl/internal/agent/api"
	"github.com/cspctl/cspctl/internal/agent/expiry"
	"github.com/cspctl/cspctl/internal/config"
	"github.com/cspctl/cspctl/internal/csp"
	"github.com/cspctl/cspctl/internal/hook"
	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/tools"
	"github.com/cspctl/cspctl/internal/upstream"
	"github.com/cspctl/cspctl/internal/vcd"
)

// settings are the settings in force and what is made from them. A file that
// can't be used changes nothing; if there never was one that could be, the
// agent answers with the reason.
//
// Whoever asks reads what is in force: a file that can't be read for long, in
// a home that hangs, keeps no token back.
type settings struct {
	system bool // of the system service, which has other defaults
	path   string
	log    *slog.Logger
	level  *slog.LevelVar

	force  atomic.Pointer[force]
	reader sync.Mutex // one reading of the file at a time

	// upstream makes the calls of all providers, with the proxy and the CAs of
	// the settings in force.
	upstream *upstream.Client
}

// force is what the readings of the file came to. It is never changed, only
// replaced.
type force struct {
	config.Settings
	ever bool  // a reading succeeded
	bad  error // of the last reading
	at   time.Time
}

func loadSettings(f files, log *slog.Logger, level *slog.LevelVar) *settings {
	s := &settings{system: f.system, path: f.config, log: log, level: level, upstream: upstream.New(upstream.Options{UserAgent: userAgent(), Log: log})}
	s.reload()
	return s
}

func userAgent() string { return "cspctl/" + ipc.Version }

// reload reads the file and puts it in force.
func (s *settings) reload() {
	s.reader.Lock()
	defer s.reader.Unlock()
	s.read()
}

// read is reload for a caller who holds reader.
func (s *settings) read() {
	was, at := s.now(), time.Now() // before: a change meanwhile is one to come
	now, err := config.Load(s.path)
	if err != nil {
		if was.bad == nil || was.bad.Error() != err.Error() {
			s.log.Error("the settings can't be used", "err", err, "kept", was.ever)
		}
		s.force.Store(&force{was.Settings, was.ever, err, at})
		return
	}
	s.level.Set(now.Level())
	s.upstream.Set(upstream.Options{UserAgent: userAgent(), Proxy: now.Proxy(), ExtraCA: now.CA(), Log: s.log})
	s.force.Store(&force{now, true, nil, at})
	s.log.Info("settings read", "path", s.path)
}

// now is what is in force.
func (s *settings) now() *force {
	if f := s.force.Load(); f != nil {
		return f
	}
	return &force{}
}

func (s *settings) status() ipc.ConfigStatus {
	now := s.now()
	c := ipc.ConfigStatus{Path: s.path, Kept: now.ever && now.bad != nil, ReadAt: now.at.UTC().Round(0)}
	if now.bad != nil {
		c.Error = now.bad.Error()
	}
	return c
}

// unusable returns the error that answers requests as long as there never were
// settings that could be used. It looks again, so that who corrects the file
// need not tell the agent.
func (s *settings) unusable() *ipc.Error {
	if s.now().ever {
		return nil
	}
	s.reader.Lock()
	defer s.reader.Unlock()
	if !s.now().ever {
		s.read()
	}
	if s.now().ever {
		return nil
	}
	return &ipc.Error{Code: ipc.CodeConfigInvalid, Message: s.now().bad.Error(), Hint: "correct that line and try again"}
}

// store is where a login keeps its secret, if nobody says. The system service
// has no keychain.
func (s *settings) store() string {
	if kind := s.now().Store; kind != "" || !s.system {
		return kind
	}
	return provider.File
}

func (s *settings) allowRoot() bool {
	if allow := s.now().AllowRoot; allow != nil {
		return *allow
	}
	return s.system
}

// grants are for whom a profile is, on the sockets with the role token.
func (s *settings) grants(profile string) api.Grant {
	p := s.now().Profiles[profile]
	return api.Grant{UIDs: p.UIDs, GIDs: p.GIDs}
}

// hosts are those to which cspctl curl may go besides.
func (s *settings) hosts() []string { return s.now().Curl.Hosts }

// stages are the stages of warning for a profile.
func (s *settings) stages(profile string) expiry.Stages { return s.now().Stages(profile) }

// desktop reports whether notifications about a profile are wanted there.
func (s *settings) desktop(profile string) bool { return s.now().Desktop(profile) }

// hook is the command that is told of events.
func (s *settings) hook() hook.Settings {
	set := s.now().Hook
	h := hook.Settings{Command: set.Command, Timeout: set.Timeout.Duration}
	for _, e := range set.Events {
		h.Events = append(h.Events, e.Name)
	}
	return h
}

// sockets are those for others than the owner.
func (s *settings) sockets() []config.Socket { return s.now().Sockets }

// tools is the table for cspctl exec --for.
func (s *settings) tools() []ipc.Tool {
	changes := map[string]tools.Change{}
	for name, t := range s.now().Tools {
		changes[name] = tools.Change{Title: t.Title, Env: t.Vars(), TLS: t.TLS}
	}
	return tools.With(tools.Known(), changes)
}

// providers is every way to turn a stored secret into an access token.
func (s *settings) providers() map[string]agent.Provider {
	return map[string]agent.Provider{
		provider.CSP:        csp.APIToken(s.upstream),
		provider.CSPApp:     csp.App(s.upstream),
		provider.VCD:        vcd.APIToken(s.upstream),
		provider.VCDSession: vcd.Session(s.upstream),
	}
}
