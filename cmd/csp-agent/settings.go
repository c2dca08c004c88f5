package main

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/cspctl/cspctl/internal/agent"
	"github.com/cspctl/cspctl/internal/config"
	"github.com/cspctl/cspctl/internal/csp"
	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/secret"
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

	csp cspProvider
}

func loadSettings(path string, log *slog.Logger, level *slog.LevelVar) *settings {
	s := &settings{path: path, log: log, level: level}
	s.csp.client.Store(csp.New(csp.Options{UserAgent: userAgent(), Log: log}))
	s.reload()
	return s
}

func userAgent() string { return "cspctl/" + ipc.Version }

// reload reads the file and puts it in force.
func (s *settings) reload() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, err := config.Load(s.path)
	s.bad = err
	if err != nil {
		s.log.Error("the settings can't be used", "err", err, "kept", s.ever)
		return
	}
	s.now, s.ever = now, true
	s.level.Set(now.Level())
	old := s.csp.client.Swap(csp.New(csp.Options{UserAgent: userAgent(), Proxy: now.Proxy(), ExtraCA: now.CA(), Log: s.log}))
	old.CloseIdle()
	s.log.Info("settings read", "path", s.path)
}

func (s *settings) status() ipc.ConfigStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := ipc.ConfigStatus{Path: s.path}
	if s.bad != nil {
		c.Error = s.bad.Error()
	}
	return c
}

func (s *settings) unusable() *ipc.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ever {
		return nil
	}
	return &ipc.Error{Code: ipc.CodeConfigInvalid, Message: s.bad.Error(), Hint: "correct that line; then: pkill -HUP csp-agent"}
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

// providers is every way to turn a stored secret into an access token.
func (s *settings) providers() map[string]agent.Provider {
	return map[string]agent.Provider{provider.CSP: &s.csp}
}

// cspProvider is the CSP client that the settings in force make. An exchange
// under way ends with the client that it began with.
type cspProvider struct{ client atomic.Pointer[csp.Client] }

func (p *cspProvider) Origin(server string) (string, error) {
	if server == "" {
		server = csp.DefaultServer
	}
	return csp.ParseServer(server)
}

func (p *cspProvider) CheckSecret(pasted string) (secret.Text, error) { return csp.CheckSecret(pasted) }

func (p *cspProvider) Exchange(ctx context.Context, c provider.Credential, r provider.Request) (provider.Token, error) {
	return p.client.Load().Exchange(ctx, c, r)
}

func (p *cspProvider) Details(ctx context.Context, c provider.Credential) (provider.Details, error) {
	return p.client.Load().Details(ctx, c)
}

func (p *cspProvider) CloseIdle() { p.client.Load().CloseIdle() }
