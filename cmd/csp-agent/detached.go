package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/cspctl/cspctl/internal/ipc"
	"github.com/cspctl/cspctl/internal/provider"
	"github.com/cspctl/cspctl/internal/service"
	"github.com/cspctl/cspctl/internal/term"
)

// endTime is how long an agent may take to end: requests under way are
// answered first.
const endTime = 10 * time.Second

// endDetached ends an agent at the service's socket that is not the service,
// such as one that cspctl started, also one that hangs. It says which secrets
// end with it. None is fine.
func (c *serviceCall) endDetached() error {
	if c.Scope == service.System {
		return nil // cspctl starts none there
	}
	known, err := c.Status(c.ctx)
	if err != nil {
		return err
	}
	if known.State == service.Running || known.State == service.Waiting {
		return nil
	}
	pid, err := ipc.ListenerPID(c.socket)
	if err != nil || pid == 0 {
		return err
	}
	// Who called listen(2) may be systemd, or the sshd that forwards a socket.
	st, asked := c.ask() // before it ends
	if !isAgent(pid) && (asked != nil || st.PID != pid) {
		if known.State != service.NotInstalled {
			return nil // systemd holds the socket of a service that does not run
		}
		return fmt.Errorf("whoever listens at %s (pid %d) is not a csp-agent of this machine: it is not ended", c.socket, pid)
	}
	if err := terminate(pid); err != nil {
		return fmt.Errorf("the agent that runs (pid %d) can't be ended: %w", pid, err)
	}
	if err := c.awaitEnd(pid, endTime); err != nil {
		_ = kill(pid)
		if err := c.awaitEnd(pid, time.Second); err != nil {
			return err
		}
	}
	fmt.Printf("ended the agent that ran (pid %d)\n", pid)
	var gone []string
	for _, p := range st.Profiles {
		if p.Store == provider.Memory && !p.LoggedIn.IsZero() && asked == nil {
			gone = append(gone, term.Clean(p.Name))
		}
	}
	if len(gone) > 0 {
		fmt.Fprintf(os.Stderr, "csp-agent: warning: its memory held the secrets of %s\ncsp-agent: hint: log in again: cspctl login %s\n",
			strings.Join(gone, ", "), gone[0])
	}
	return nil
}

// awaitEnd waits until another process has the socket, or none.
func (c *serviceCall) awaitEnd(pid int, most time.Duration) error {
	ctx, cancel := context.WithTimeout(c.ctx, most)
	defer cancel()
	for {
		if now, err := ipc.ListenerPID(c.socket); err == nil && now != pid {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the agent that runs (pid %d) does not end", pid)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
