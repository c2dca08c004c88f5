package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/cspctl/cspctl/internal/ipc"
)

// supervisor is the service manager that started the agent, if one did that
// wants to hear from it (sd_notify(3)).
type supervisor struct {
	log   *slog.Logger
	every time.Duration // the agent is killed if nothing is heard for so long; 0: it is not
}

func newSupervisor(log *slog.Logger) *supervisor {
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("the service manager's watchdog can't be told anything", "err", err)
	}
	return &supervisor{log, every}
}

func (s *supervisor) tell(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		s.log.Warn("the service manager can't be told anything", "err", err)
	}
}

// ready: the sockets are served.
func (s *supervisor) ready() {
	s.tell(daemon.SdNotifyReady + "\nSTATUS=Serving, version " + ipc.Version)
}

// reloading calls reload, which reads the settings.
func (s *supervisor) reloading(reload func()) {
	s.tell(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
	reload()
	s.ready()
}

func (s *supervisor) stopping() { s.tell(daemon.SdNotifyStopping) }

// watch tells that the agent is well as long as it is: as long as it answers at
// its socket, like any client's request.
func (s *supervisor) watch(ctx context.Context, socket string) {
	if s.every <= 0 {
		return
	}
	getenv := func(name string) string {
		if name == ipc.EnvSocket {
			return socket
		}
		return ""
	}
	tick := time.NewTicker(s.every / 4)
	defer tick.Stop()
	for {
		_, err := ipc.Open(ipc.Options{Getenv: getenv, NoStart: true}).Do(
			ipc.Request{Method: "GET", Path: "/v1/profiles", Accept: "application/json", Timeout: s.every / 2})
		if err == nil {
			s.tell(daemon.SdNotifyWatchdog)
		} else if ctx.Err() == nil {
			s.log.Error("the agent does not answer its own request", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
