package main

import (
	"log/slog"
	"sync"

	"github.com/cspctl/cspctl/internal/agent"
	"github.com/cspctl/cspctl/internal/agent/expiry"
	"github.com/cspctl/cspctl/internal/config"
	"github.com/cspctl/cspctl/internal/csp"
	"github.com/cspctl/cspctl/internal/hook"
	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/upstream"
	"github.com/cspctl/cspctl/internal/vcd"
)

// settings are the settings in force and what is made from them. A file that
// can't be used changes nothing; if there never was one that could be, the
// agent answers with the reason.
type settings struct {
	path  string
	log   *slog.Logger
	level *slog.LevelVar

	mu   sync.Mutex // guards the rest
	now  config.Settings
	bad  error // of the last reading
	ever bool  // a reading succeeded

	// upstream makes the calls of all providers, with the proxy and the CAs of
	// the settings in force.
	upstream *upstream.Client
}

func loadSettings(path string, log *slog.Logger, level *slog.LevelVar) *settings {
	s := &settings{path: path, log: log, level: level, upstream: upstream.New(upstream.Options{UserAgent: userAgent(), Log: log})}
	s.reload()
	return s
}

func userAgent() string { return "cspctl/" + ipc.Version }

// reload reads the file and puts it in force.
func (s *settings) reload() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read()
}

// read is reload for a caller who holds mu.
func (s *settings) read() {
	now, err := config.Load(s.path)
	if err != nil {
		if s.bad == nil || s.bad.Error() != err.Error() {
			s.log.Error("the settings can't be used", "err", err, "kept", s.ever)
		}
		s.bad = err
		return
	}
	s.now, s.ever, s.bad = now, true, nil
	s.level.Set(now.Level())
	s.upstream.Set(upstream.Options{UserAgent: userAgent(), Proxy: now.Proxy(), ExtraCA: now.CA(), Log: s.log})
	s.log.Info("settings read", "path", s.path)
}

func (s *settings) status() ipc.ConfigStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := ipc.ConfigStatus{Path: s.path, Kept: s.ever && s.bad != nil}
	if s.bad != nil {
		c.Error = s.bad.Error()
	}
	return c
}

// unusable returns the error that answers requests as long as there never were
// settings that could be used. It looks again, so that who corrects the file
// need not tell the agent.
func (s *settings) unusable() *ipc.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ever {
		s.read()
	}
	if s.ever {
		return nil
	}
	return &ipc.Error{Code: ipc.CodeConfigInvalid, Message: s.bad.Error(), Hint: "correct that line and try again"}
}

func (s *settings) store() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now.Store
}

func (s *settings) allowRoot() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now.AllowRoot
}

// stages are the stages of warning for a profile.
func (s *settings) stages(profile string) expiry.Stages {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now.Stages(profile)
}

// desktop reports whether notifications about a profile are wanted there.
func (s *settings) desktop(profile string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now.Desktop(profile)
}

// hook is the command that is told of events.
func (s *settings) hook() hook.Settings {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := hook.Settings{Command: s.now.Hook.Command, Timeout: s.now.Hook.Timeout.Duration}
	for _, e := range s.now.Hook.Events {
		h.Events = append(h.Events, e.Name)
	}
	return h
}

// sockets are those for others than the owner.
func (s *settings) sockets() []config.Socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now.Sockets
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
