package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/cspctl/cspctl/internal/agent"
	"github.com/cspctl/cspctl/internal/agent/api"
	"github.com/cspctl/cspctl/internal/bootclock"
	"github.com/cspctl/cspctl/internal/harden"
	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/ipc/listen"
	"github.com/cspctl/cspctl/internal/jwtcheck"
	"github.com/cspctl/cspctl/internal/keychain"
	"github.com/cspctl/cspctl/internal/metrics"
	"github.com/cspctl/cspctl/internal/standin"
)

// shutdownTime is how long requests under way may go on after SIGTERM.
const shutdownTime = 3 * time.Second

// selfCheck is how often the agent looks whether clients still find it: a
// cspctl that finds no socket waits for two seconds.
const selfCheck = time.Second

// lostTime is how long the agent goes on without a socket that it can't make
// again: its folder may come back, as at the next login.
const lostTime = 15 * time.Second

// run serves until it is told to stop, and returns the exit code. find says where
// its files are.
func run(find func(getenv func(string) string) (files, error)) int {
	level := new(slog.LevelVar)
	log, lines := asyncLog(os.Stderr, level)
	defer func() { _ = lines.Close(logPatience) }()
	if err := harden.Process(); err != nil {
		log.Warn("the process could not be closed to others", "err", err)
	}
	err := harden.Limits()
	if err == nil {
		err = serve(find, log, level)
	}
	if err != nil {
		lines.Put([]byte("csp-agent: error: " + err.Error() + "\n"))
		if errors.Is(err, listen.ErrRunning) {
			return ipc.ExitRunning
		}
		return 1
	}
	return 0
}

// serve puts the parts together and runs them.
func serve(find func(func(string) string) (files, error), log *slog.Logger, level *slog.LevelVar) error {
	// Signals first: one that comes early must not be lost.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	// A log that has lost its reader is no reason to die. Not ignored, which
	// programs that the agent starts would inherit.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)

	f, err := find(os.Getenv)
	if err != nil {
		return err
	}
	settings := loadSettings(f, log, level)
	counted := metrics.New()
	audit := api.NewAudit(f.audit, log)
	defer func() {
		if err := audit.Close(); err != nil {
			log.Error("the audit log is not complete", "err", err)
		}
	}()
	refused := refusals(log, counted, audit)
	sockets, err := openSockets(settings, log, refused)
	if err != nil {
		return err
	}
	keeper := &socketKeeper{sockets: sockets.listeners(), log: log}
	if err := keeper.look(); err != nil { // systemd may have passed sockets that are gone
		return err
	}
	stores, closeStores := openStores(f, os.Getenv)
	defer closeStores()
	tell := newTellers(counted, settings, log)
	runs := &standin.Runs{Log: log}
	defer runs.Close()
	sinks := newSinks(f, sockets.all[0].Path(), settings, log)
	a, err := agent.New(agent.Options{
		Providers:    settings.providers(),
		Stores:       stores,
		State:        stateFile(f.state),
		Clock:        bootclock.Clock{},
		Exclusive:    exclusive(f.locks),
		Verify:       jwtcheck.Verify,
		Passphrase:   keychain.NewVerifier,
		DefaultStore: settings.store,
		Publish:      func(e ipc.Event) { runs.Publish(e); tell.publish(e); sinks.Observe(e) },
		Stages:       settings.stages,
		Log:          log,
	})
	if err != nil {
		return err
	}
	defer a.Close()
	tell.watchOver(a, settings, log)
	counted.Attach(a, settings.status)
	sinks.Start(a)

	handler := func(role api.Role, path string) http.Handler {
		return api.New(api.Options{
			Agent: a, Role: role, Socket: path, Audit: audit, Events: tell.events, Runs: runs, Sinks: sinks, Log: log,
			Config: settings.status, Unusable: settings.unusable, Grants: settings.grants, Tools: settings.tools, Hosts: settings.hosts,
			Metrics: counted.Page, Refused: func(p listen.Peer, reason string) { counted.Refused(p.UID, reason) },
		})
	}
	var servers []*http.Server
	var wg sync.WaitGroup
	failed := make(chan error, len(sockets.all))
	for _, l := range sockets.all {
		server := listen.Server(handler(l.role, l.Path()))
		server.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelDebug)
		servers = append(servers, server)
		wg.Go(func() {
			if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
				failed <- err
			}
		})
	}
	further := &furtherSockets{log: log, refused: refused, handler: handler}
	further.set(sockets.follow(settings.sockets()))
	wg.Go(func() { a.Run(ctx) })
	wg.Go(func() { tell.run(ctx) })
	autoLock := newAutoLock(a, sinks, settings, log)
	wg.Go(func() { autoLock.Run(ctx) })
	log.Info("serving", "version", ipc.Version, "socket", sockets.all[0].Path(), "pid", os.Getpid())
	manager := newSupervisor(log)
	manager.ready()
	// Not waited for: its own request may be left unanswered by the end.
	go manager.watch(ctx, sockets.all[0].Path())

	follow := func() { further.set(sockets.follow(settings.sockets())) }
	err = wait(ctx, hangup, failed,
		func() { manager.reloading(func() { settings.reload(); follow() }); tell.rouse(); autoLock.Rouse() },
		func() error { follow(); sinks.Tick(); return keeper.look() })
	log.Info("stopping")
	manager.stopping()
	stop()
	tell.close()
	runs.Close()
	end, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	gone, cancelGone := context.WithTimeout(end, sinkTime)
	defer cancelGone()
	sinks.Close(gone)
	further.close(end)
	for _, s := range servers {
		if s.Shutdown(end) != nil {
			_ = s.Close()
		}
	}
	for _, l := range sockets.all {
		_ = l.Close()
	}
	a.Close()
	wg.Wait()
	return err
}

// wait calls reload at a SIGHUP, and look each second. It returns when the
// agent is to end: nil where that is as it should be.
func wait(ctx context.Context, hangup <-chan os.Signal, failed <-chan error, reload func(), look func() error) error {
	check := time.NewTicker(selfCheck)
	defer check.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hangup:
			reload()
		case err := <-failed:
			return err
		case <-check.C:
			if err := look(); err != nil {
				return err
			}
		}
	}
}
