package main

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cspctl/cspctl/internal/ipc/listen"
)

// socketKeeper sees to it that clients find the agent: where somebody removed
// its socket, or the folder around it, it makes them again, since what rests in
// the agent's memory ends with the agent.
type socketKeeper struct {
	sockets []*listen.Listener
	log     *slog.Logger

	lost time.Time // when a socket was found to be gone that can't be made again
}

// look returns an error if the agent is to end: another one has the path, or it
// is gone for good.
func (k *socketKeeper) look() error {
	var failed error
	for _, l := range k.sockets {
		if l.StillOurs() {
			continue
		}
		switch err := l.Restore(); {
		case err == nil:
			k.log.Warn("the socket was gone, and is made again", "socket", l.Path())
		case errors.Is(err, listen.ErrRunning):
			return fmt.Errorf("the socket %s is gone or another's: %w", l.Path(), err)
		default:
			failed = fmt.Errorf("the socket %s is gone: %w", l.Path(), err)
		}
	}
	switch {
	case failed == nil:
		k.lost = time.Time{}
	case k.lost.IsZero():
		k.lost = time.Now()
		k.log.Error("no client finds this agent", "err", failed)
	case time.Since(k.lost) > lostTime:
		return failed
	}
	return nil
}
